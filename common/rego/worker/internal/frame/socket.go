package frame

import (
	"errors"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket reads and writes a non-blocking stream socket without telling Go's scheduler of each system
// call: none of them waits, and a scheduler that takes the processor away meanwhile wakes threads for
// nothing. One goroutine may read and one write at a time.
type Socket struct {
	raw         syscall.RawConn
	read, write transfer
	message     unix.Msghdr
	vector      unix.Iovec
	control     [controlSize]byte
	files       []int // descriptors that came and were not taken
}

// controlSize has room for the descriptors of one frame; a read never gets those of two.
const controlSize = unix.SizeofCmsghdr + FilesMax*4

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
	s.message = unix.Msghdr{Iov: &s.vector, Iovlen: 1, Control: &s.control[0]}
	s.read.step = s.receive
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

// receive is try for a read, which may bring descriptors.
func (s *Socket) receive(descriptor uintptr) bool {
	t := &s.read
	s.vector = unix.Iovec{Base: &t.bytes[0], Len: uint64(len(t.bytes))}
	for {
		s.message.Controllen = controlSize
		moved, _, problem := syscall.RawSyscall(syscall.SYS_RECVMSG, descriptor, uintptr(unsafe.Pointer(&s.message)), unix.MSG_CMSG_CLOEXEC)
		switch problem {
		case 0:
			t.moved, t.err = int(moved), nil
			if s.message.Controllen > 0 || s.message.Flags&unix.MSG_CTRUNC != 0 {
				t.err = s.keepFiles()
			}
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

// keepFiles keeps the descriptors of the message that was just received.
func (s *Socket) keepFiles() error {
	messages, err := unix.ParseSocketControlMessage(s.control[:s.message.Controllen])
	for _, each := range messages {
		files, problem := unix.ParseUnixRights(&each)
		s.files = append(s.files, files...)
		err = errors.Join(err, problem)
	}
	if s.message.Flags&unix.MSG_CTRUNC != 0 {
		err = errors.Join(err, errors.New("descriptors were lost"))
	}
	return err
}

// TakeFiles returns the next descriptors, which are the caller's from then on.
func (s *Socket) TakeFiles(count int) ([]int, error) {
	if count > len(s.files) {
		return nil, errors.New("a frame without its descriptors")
	}
	taken := s.files[:count:count]
	s.files = s.files[count:]
	if len(s.files) == 0 {
		s.files = nil
	}
	return taken, nil
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
