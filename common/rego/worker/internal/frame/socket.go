package frame

import (
	"io"
	"syscall"
	"unsafe"
)

// Socket reads and writes a non-blocking stream socket without telling Go's scheduler of each system
// call: none of them waits, and a scheduler that takes the processor away meanwhile wakes threads for
// nothing. One goroutine may read and one write at a time.
type Socket struct {
	raw         syscall.RawConn
	read, write transfer
}

// transfer is a call that may have to be made again when the socket is ready.
type transfer struct {
	call  uintptr
	bytes []byte
	moved int
	err   error
	step  func(uintptr) bool
}

// NewSocket returns a reader and writer of a connection, which stays its caller's to close.
func NewSocket(connection syscall.Conn) (*Socket, error) {
	raw, err := connection.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &Socket{raw: raw}
	s.read.call, s.read.step = syscall.SYS_READ, s.read.try
	s.write.call, s.write.step = syscall.SYS_WRITE, s.write.try
	return s, nil
}

// try reports whether the call is done; if not, the socket was not ready.
func (t *transfer) try(descriptor uintptr) bool {
	for {
		moved, _, problem := syscall.RawSyscall(t.call, descriptor, uintptr(unsafe.Pointer(&t.bytes[0])), uintptr(len(t.bytes)))
		switch problem {
		case 0:
			t.moved, t.err = int(moved), nil
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.moved, t.err = 0, problem
			return true
		}
	}
}

// Read reads what there is, at least one byte.
func (s *Socket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.read.bytes = p
	err := s.raw.Read(s.read.step)
	s.read.bytes = nil
	if err == nil {
		err = s.read.err
	}
	if err != nil {
		return 0, err
	}
	if s.read.moved == 0 {
		return 0, io.EOF
	}
	return s.read.moved, nil
}

// Write writes all of it.
func (s *Socket) Write(p []byte) (written int, err error) {
	for written < len(p) {
		s.write.bytes = p[written:]
		err = s.raw.Write(s.write.step)
		s.write.bytes = nil
		if err == nil {
			err = s.write.err
		}
		if err != nil {
			return written, err
		}
		written += s.write.moved
	}
	return written, nil
}
