// A file of this kind lets main.go declare a function without a body: netpollBreak.
