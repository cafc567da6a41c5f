// The benchmarks of the Rust program beside this folder, in Go. It is started by that program, a process
// for each sample:
//
//	go-peers BENCHMARK --ops N --warm N --param N --cores N
//
// GOMAXPROCS is the number of cores.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	_ "unsafe" // for the name of a function of the runtime
)

const (
	far        = time.Hour
	ring       = 100
	onTheirWay = 10
	hotPairs   = 64
	message    = 64
	buffer     = 1024
	gap        = 50 * time.Microsecond
	pause      = time.Millisecond
)

// The break of the runtime's poller. Reached by its name: the program is linked with -checklinkname=0.
//
//go:linkname netpollBreak runtime.netpollBreak
func netpollBreak()

var benchmarks = map[string]func(Work) Sample{
	"pingpong":          func(work Work) Sample { return pingPong(work, false) },
	"pingpong-deadline": func(work Work) Sample { return pingPong(work, true) },
	"break":             breaks,
	"break-suppressed":  suppressed,
	"idle":              idle,
	"accept":            accept,
	"churn":             churn,
	"deadline":          deadlines,
	"deadline-past":     pastDeadline,
	"precision":         precision,
	"fairness":          fairness,
	"tcp":               tcp,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "go-peers: which benchmark?")
		os.Exit(2)
	}
	if os.Args[1] == "version" {
		fmt.Println("Go", runtime.Version()[len("go"):])
		return
	}
	var work Work
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.Uint64Var(&work.Ops, "ops", 0, "operations that are measured")
	flags.Uint64Var(&work.Warm, "warm", 0, "operations before them")
	flags.Uint64Var(&work.Param, "param", 0, "what the benchmark is about")
	flags.IntVar(&work.Cores, "cores", 1, "how many cores there are")
	check(flags.Parse(os.Args[2:]))
	benchmark, ok := benchmarks[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "go-peers: no benchmark", os.Args[1])
		os.Exit(2)
	}
	runtime.GOMAXPROCS(work.Cores)
	done := make(chan Sample)
	go func() { done <- benchmark(work) }()
	sample := <-done
	sample.print()
}

// start starts a goroutine that a group waits for.
func start(group *sync.WaitGroup, task func()) {
	group.Add(1)
	go func() {
		defer group.Done()
		task()
	}()
}

// file is a descriptor that does not block: the runtime registers it.
func file(fd int) *os.File {
	return os.NewFile(uintptr(fd), "socket")
}

func pair() (*os.File, *os.File) {
	kind := syscall.SOCK_STREAM | syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	check(err)
	return file(fds[0]), file(fds[1])
}

// silent is a descriptor that nothing happens on.
func silent() *os.File {
	kind := syscall.SOCK_DGRAM | syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	fd, err := syscall.Socket(syscall.AF_UNIX, kind, 0)
	check(err)
	return file(fd)
}

func write(to io.Writer, bytes []byte) {
	_, err := to.Write(bytes)
	check(err)
}

func pingPong(work Work, limited bool) Sample {
	near, away := pair()
	read := func(from *os.File, bytes []byte) (int, error) {
		if limited {
			check(from.SetReadDeadline(time.Now().Add(far)))
		}
		return from.Read(bytes)
	}
	echoed := make(chan uint64)
	go func() {
		bytes, count := make([]byte, 1), uint64(0)
		for {
			_, err := read(away, bytes)
			if errors.Is(err, io.EOF) {
				echoed <- count
				return
			}
			check(err)
			write(away, bytes)
			count++
		}
	}()
	meter, bytes, sent := newMeter(work), make([]byte, 1), uint64(0)
	for {
		bytes[0] = byte(sent)
		write(near, bytes)
		_, err := read(near, bytes)
		check(err)
		if bytes[0] != byte(sent) {
			panic("another byte came back")
		}
		sent++
		if !meter.op() {
			break
		}
	}
	check(near.Close())
	if <-echoed != sent {
		panic("bytes were lost")
	}
	return meter.sample()
}

// breaks: a thread wakes a goroutine that is parked.
func breaks(work Work) Sample {
	times := newTimes(work)
	ready, bell := make(chan struct{}), make(chan time.Time)
	go func() {
		runtime.LockOSThread()
		for range times.all() {
			<-ready
			for begin := time.Now(); time.Since(begin) < gap; {
			}
			bell <- time.Now()
		}
	}()
	for {
		ready <- struct{}{}
		begin := <-bell
		if !times.took(time.Since(begin)) {
			return times.sample()
		}
	}
}

func suppressed(work Work) Sample {
	silent() // the first descriptor starts the poller
	meter := newMeter(work)
	for meter.op() {
		netpollBreak()
	}
	return meter.sample()
}

func idle(work Work) Sample {
	for range work.Param {
		quiet := silent()
		go func() {
			read, err := quiet.Read(make([]byte, 1))
			panic(fmt.Sprint("there was something to read: ", read, err))
		}()
	}
	var readers, writers [ring]*os.File
	for i := range ring {
		readers[i], writers[i] = pair()
	}
	for _, writer := range writers[:onTheirWay] {
		write(writer, []byte{1})
	}
	meter, done := newMeter(work), make(chan struct{}, ring)
	for i := range ring {
		go func() {
			bytes := make([]byte, 1)
			for {
				_, err := readers[i].Read(bytes)
				check(err)
				write(writers[(i+1)%ring], bytes)
				if !meter.op() {
					break
				}
			}
			done <- struct{}{}
		}()
	}
	<-done
	return meter.sample()
}

func accept(work Work) Sample {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	meter := newMeter(work)
	var done sync.WaitGroup
	for range meter.all() {
		stream, err := listener.Accept()
		check(err)
		start(&done, func() {
			bytes := make([]byte, 1)
			_, err := stream.Read(bytes)
			check(err)
			write(stream, bytes)
			check(stream.Close())
			meter.op()
		})
	}
	done.Wait()
	return meter.sample()
}

func churn(work Work) Sample {
	meter := newMeter(work)
	var done sync.WaitGroup
	for range work.Param {
		start(&done, func() {
			for meter.op() {
				near, away := pair()
				check(near.Close())
				check(away.Close())
			}
		})
	}
	done.Wait()
	return meter.sample()
}

func deadlines(work Work) Sample {
	all := make([]*os.File, work.Param)
	for i := range all {
		all[i] = silent()
	}
	set := func(file *os.File, more time.Duration) {
		check(file.SetReadDeadline(time.Now().Add(far + more)))
	}
	meter := newMeter(work)
	if len(all) == 1 {
		for {
			set(all[0], 0)
			check(all[0].SetReadDeadline(time.Time{}))
			if !meter.op() {
				return meter.sample()
			}
		}
	}
	for turn := 0; ; turn++ {
		for place, file := range all {
			set(file, time.Duration((turn*10_007+place)*7919%1_000_003)*time.Microsecond)
			if turn > 0 && !meter.op() {
				return meter.sample()
			}
		}
	}
}

func pastDeadline(work Work) Sample {
	near, _ := pair()
	again, told := make(chan struct{}), make(chan struct{})
	go func() {
		bytes := make([]byte, 1)
		for range again {
			_, err := near.Read(bytes)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				panic(err)
			}
			told <- struct{}{}
		}
	}()
	times := newTimes(work)
	for {
		again <- struct{}{}
		// On one core: the other one runs until it is parked.
		runtime.Gosched()
		begin := time.Now()
		check(near.SetReadDeadline(begin))
		<-told
		more := times.took(time.Since(begin))
		check(near.SetReadDeadline(time.Time{}))
		if !more {
			return times.sample()
		}
	}
}

func precision(work Work) Sample {
	near, _ := pair()
	due := time.Duration(work.Param) * time.Microsecond
	times, bytes := newTimes(work), make([]byte, 1)
	for {
		begin := time.Now()
		check(near.SetReadDeadline(begin.Add(due)))
		_, err := near.Read(bytes)
		more := times.late(begin, due)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			panic(err)
		}
		if !more {
			return times.sample()
		}
	}
}

func fairness(work Work) Sample {
	for range hotPairs {
		near, away := pair()
		for i, socket := range []*os.File{near, away} {
			go func() {
				bytes := make([]byte, 1)
				if i == 0 {
					write(socket, bytes)
				}
				for {
					_, err := socket.Read(bytes)
					check(err)
					write(socket, bytes)
				}
			}()
		}
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(err)
	check(syscall.SetNonblock(fds[0], true))
	cold := file(fds[0])
	times, start := newTimes(work), time.Now()
	// A thread outside of the scheduler as far as there is such a thing: its calls are bare ones, which block.
	go func() {
		runtime.LockOSThread()
		bytes := make([]byte, 8)
		for range times.all() {
			wait := syscall.NsecToTimespec(int64(pause))
			check(syscall.Nanosleep(&wait, nil))
			binary.LittleEndian.PutUint64(bytes, uint64(time.Since(start)))
			_, err := syscall.Write(fds[1], bytes)
			check(err)
		}
	}()
	bytes := make([]byte, 8)
	for {
		_, err := io.ReadFull(cold, bytes)
		check(err)
		sent := time.Duration(binary.LittleEndian.Uint64(bytes))
		if !times.took(time.Since(start) - sent) {
			return times.sample()
		}
	}
}

func tcp(work Work) Sample {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	meter := newMeter(work).inSwarmsOf(work.Param)
	var done sync.WaitGroup
	type both struct{ near, away net.Conn }
	var all []both
	for range work.Param {
		near, err := net.Dial("tcp", listener.Addr().String())
		check(err)
		away, err := listener.Accept()
		check(err)
		all = append(all, both{near, away})
	}
	for _, conn := range all {
		go func() {
			bytes := make([]byte, buffer)
			for {
				read, err := conn.away.Read(bytes)
				if err != nil {
					return
				}
				write(conn.away, bytes[:read])
			}
		}()
		start(&done, func() {
			bytes, back := make([]byte, message), make([]byte, buffer)
			for round := 0; ; round++ {
				for i := range bytes {
					bytes[i] = byte(round)
				}
				write(conn.near, bytes)
				read, err := io.ReadAtLeast(conn.near, back, message)
				check(err)
				if read != message || [message]byte(back) != [message]byte(bytes) {
					panic("another message came back")
				}
				if !meter.op() {
					return
				}
			}
		})
	}
	done.Wait()
	return meter.sample()
}
