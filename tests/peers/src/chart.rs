//! Charts in SVG: bars, one for each contestant, and lines over the number of idle descriptors.

use crate::cases::{Bench, Peer};
use crate::report::{Cell, nanos};
use std::fmt::Write;

const OURS: &str = "#c2410c";
const FLOOR: &str = "#6b7280";
const OTHERS: &str = "#93b4d4";
/// Of the lines, in the order of the contestants.
const COLOURS: [&str; 9] = [
    "#1d4ed8", "#0e7490", "#15803d", "#a16207", "#7e22ce", "#be185d", "#475569", "#0369a1",
    "#4d7c0f",
];

fn colour(cell: &Cell) -> &'static str {
    match cell.peer {
        Peer::Bare => FLOOR,
        peer if peer.ours() => OURS,
        _ => OTHERS,
    }
}

fn begin(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n"
    )
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('`', "");
    let _ =
        writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

/// A bar for the median of each contestant, and a mark for its p99 where that is not too far away.
pub(crate) fn bars(cells: &[Cell]) -> String {
    const LEFT: f64 = 210.0;
    const WIDTH: f64 = 430.0;
    const ROW: f64 = 26.0;
    const TOP: f64 = 62.0;
    let mut sorted: Vec<&Cell> = cells.iter().collect();
    sorted.sort_by(|one, other| one.p50().total_cmp(&other.p50()));
    let longest = sorted.last().map_or(1.0, |cell| cell.p50()).max(1e-9);
    let scale = WIDTH / (1.15 * longest);
    let height = TOP + ROW * sorted.len() as f64 + 14.0;
    let title = match cells[0].case.bench {
        Bench::Idle => format!("{} idle descriptors", nanos(cells[0].work.param as f64)),
        _ => cells[0].case.title.to_owned(),
    };
    let mut svg = begin(820.0, height, &title);
    text(
        &mut svg,
        (16.0, 46.0),
        "start",
        "nanoseconds: the bar is the median, the line reaches to p99 (an arrow: beyond)",
    );
    for (place, cell) in sorted.iter().enumerate() {
        let y = TOP + ROW * place as f64;
        let bar = cell.p50() * scale;
        text(&mut svg, (LEFT - 8.0, y + 15.0), "end", cell.peer.title());
        let fill = colour(cell);
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"16\" fill=\"{fill}\"/>",
            y + 2.0
        );
        let (end, middle) = ((cell.p99() * scale).min(WIDTH), y + 10.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"#111\" stroke-width=\"1\"/>",
            LEFT + bar,
            LEFT + end
        );
        if cell.p99() * scale > WIDTH {
            let tip = LEFT + WIDTH;
            let _ = writeln!(svg, "<path d=\"M{tip:.1} {middle:.1}l-7 -4v8z\" fill=\"#111\"/>");
        }
        let label = format!("{} (p99 {})", nanos(cell.p50()), nanos(cell.p99()));
        text(&mut svg, (LEFT + WIDTH + 8.0, y + 15.0), "start", &label);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The time of an event over the number of idle descriptors, which has a logarithmic axis.
pub(crate) fn lines(cells: &[&Cell]) -> String {
    const LEFT: f64 = 70.0;
    const TOP: f64 = 60.0;
    const WIDTH: f64 = 480.0;
    const HEIGHT: f64 = 320.0;
    let params = || cells.iter().map(|cell| cell.work.param.max(1) as f64);
    let (low, high) = (params().fold(f64::MAX, f64::min), params().fold(1.0, f64::max));
    let top = cells.iter().map(|cell| cell.p50()).fold(1.0, f64::max) * 1.1;
    let x = |param: u64| {
        let wide = (high / low).ln().max(1e-9);
        LEFT + WIDTH * (param.max(1) as f64 / low).ln() / wide
    };
    let y = |time: f64| TOP + HEIGHT * (1.0 - time / top);
    let mut svg = begin(820.0, TOP + HEIGHT + 56.0, "Idle descriptors");
    text(
        &mut svg,
        (16.0, 46.0),
        "start",
        "nanoseconds for an event, over the number of idle descriptors",
    );
    for step in 0..=4 {
        let time = top * f64::from(step) / 4.0;
        let _ = writeln!(svg, "<path d=\"M{LEFT} {:.1}h{WIDTH}\" stroke=\"#ddd\"/>", y(time));
        text(&mut svg, (LEFT - 6.0, y(time) + 4.0), "end", &nanos(time.round()));
    }
    let mut peers: Vec<_> = cells.iter().map(|cell| cell.peer).collect();
    peers.sort_unstable();
    peers.dedup();
    let mut labels = Vec::new();
    let mut others = COLOURS.iter().cycle();
    for peer in peers {
        let mut line: Vec<&&Cell> = cells.iter().filter(|cell| cell.peer == peer).collect();
        line.sort_by_key(|cell| cell.work.param);
        let fill = match colour(line[0]) {
            OTHERS => others.next().expect("it goes round"),
            fixed => fixed,
        };
        let points: Vec<_> = line
            .iter()
            .map(|cell| format!("{:.1},{:.1}", x(cell.work.param), y(cell.p50())))
            .collect();
        let wide = if peer.ours() { 3 } else { 1 };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{fill}\" stroke-width=\"{wide}\"/>",
            points.join(" ")
        );
        let end = line.last().expect("it has a point");
        labels.push((y(end.p50()), fill, peer.title()));
    }
    // Names beside the ends, moved apart where they would lie upon each other.
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = TOP;
    for (at, fill, title) in labels {
        let place = at.max(free);
        free = place + 16.0;
        let from = LEFT + WIDTH;
        let _ = writeln!(
            svg,
            "<path d=\"M{from:.1} {at:.1}L{:.1} {place:.1}\" stroke=\"{fill}\" fill=\"none\"/>",
            from + 14.0
        );
        text(&mut svg, (from + 18.0, place + 4.0), "start", title);
    }
    let mut marks: Vec<u64> = cells.iter().map(|cell| cell.work.param).collect();
    marks.sort_unstable();
    marks.dedup();
    for param in marks {
        text(&mut svg, (x(param), TOP + HEIGHT + 20.0), "middle", &nanos(param as f64));
    }
    svg.push_str("</svg>\n");
    svg
}
