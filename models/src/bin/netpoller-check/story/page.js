// Counts what the page shows and measures what does not fit, with everything unfolded. The result
// is an attribute of the root element.
(() => {
    const root = document.documentElement;
    root.classList.add("measure");
    const wide = [...document.querySelectorAll("text[data-room]")]
        .filter((text) => text.getComputedTextLength() > Number(text.dataset.room));
    const cut = [...document.querySelectorAll("header, header *, .legend, .ends li")]
        .filter((block) => block.scrollWidth > block.clientWidth + 1 && block.clientWidth > 0);
    const seen = [...document.querySelectorAll("svg[data-step]")]
        .filter((strip) => strip.getBoundingClientRect().height > 0);
    root.classList.remove("measure");
    root.dataset.steps = seen.length;
    root.dataset.lifelines = document.querySelectorAll(".lifeline").length;
    root.dataset.overflow = wide.length + cut.length;
})();
