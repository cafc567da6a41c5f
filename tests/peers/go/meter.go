package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Work is how much a sample does.
type Work struct {
	Ops, Warm, Param uint64
	Cores            int
}

// Sample is what a process has measured; the Rust program prints the same.
type Sample struct {
	Ops       uint64  `json:"ops"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	Max       float64 `json:"max"`
	Processor float64 `json:"processor"`
	Early     uint64  `json:"early"`
	GrownKib  int64   `json:"grown_kib"`
	Resident  int64   `json:"resident_kib"`
}

func sampleOf(ops uint64, times []float64) Sample {
	if len(times) == 0 {
		panic("nothing was measured")
	}
	slices.Sort(times)
	at := func(part float64) float64 {
		return times[int(math.Round(float64(len(times)-1)*part))]
	}
	return Sample{Ops: ops, P50: at(0.5), P99: at(0.99), Max: at(1)}
}

func (s Sample) print() {
	line, err := json.Marshal(s)
	check(err)
	fmt.Println(string(line))
}

// So many that a batch is shorter than what a scheduler gives to somebody else.
const batches = 300

type mark struct {
	seen uint64
	at   time.Time
}

// Meter counts operations, of any number of goroutines, and reads the clock once in a batch.
type Meter struct {
	warm, ops, batch uint64
	seen             atomic.Uint64
	lock             sync.Mutex
	marks            []mark
	resident         int64
	began, ended     time.Duration
}

func newMeter(work Work) *Meter {
	batch := max(work.Ops/batches, 1)
	return &Meter{
		warm:  max(work.Warm, 1),
		ops:   work.Ops,
		batch: batch,
		marks: make([]mark, 0, 2*batches),
	}
}

// inSwarmsOf makes batches longer, for operations that end in swarms.
func (m *Meter) inSwarmsOf(many uint64) *Meter {
	m.batch = min(max(m.batch, 2*many), m.ops)
	return m
}

func (m *Meter) all() uint64 { return m.warm + m.ops }

// op says that one operation was done, and returns whether to go on.
func (m *Meter) op() bool {
	seen := m.seen.Add(1)
	if seen >= m.warm && seen <= m.all() && (seen-m.warm)%m.batch == 0 {
		m.lock.Lock()
		if seen == m.warm {
			m.resident, m.began = residentKib(), processor()
		}
		m.marks = append(m.marks, mark{seen, time.Now()})
		m.lock.Unlock()
	}
	if seen == m.all() {
		m.lock.Lock()
		m.ended = processor()
		m.lock.Unlock()
	}
	return seen < m.all()
}

func (m *Meter) sample() Sample {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.seen.Load() < m.all() {
		panic("not all operations were done")
	}
	slices.SortFunc(m.marks, func(a, b mark) int { return int(a.seen) - int(b.seen) })
	var times []float64
	for i := 1; i < len(m.marks); i++ {
		took := max(m.marks[i].at.Sub(m.marks[i-1].at), 0)
		times = append(times, float64(took)/float64(m.marks[i].seen-m.marks[i-1].seen))
	}
	sample := sampleOf(m.ops, times)
	sample.Processor = float64(m.ended-m.began) / float64(m.ops)
	sample.GrownKib = residentKib() - m.resident
	sample.Resident = m.resident
	return sample
}

// Times keeps the time of each single operation.
type Times struct {
	warm, ops, early uint64
	times            []float64
}

func newTimes(work Work) *Times {
	return &Times{warm: work.Warm, ops: work.Ops, times: make([]float64, 0, work.Ops)}
}

func (t *Times) all() uint64 { return t.warm + t.ops }

func (t *Times) took(took time.Duration) bool {
	if t.warm > 0 {
		t.warm--
	} else {
		t.times = append(t.times, float64(took))
	}
	return uint64(len(t.times)) < t.ops
}

// late is one that was to take `due`, and began then.
func (t *Times) late(begin time.Time, due time.Duration) bool {
	took := time.Since(begin)
	if took < due {
		t.early++
	}
	return t.took(max(took-due, 0))
}

func (t *Times) sample() Sample {
	if uint64(len(t.times)) != t.ops {
		panic("not all operations were timed")
	}
	sample := sampleOf(t.ops, t.times)
	sample.Early = t.early
	return sample
}

// processor is what this process has taken of the processor.
func processor() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// residentKib is the memory of this process that is in use; 0 where /proc does not say.
func residentKib() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib
		}
	}
	return 0
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
