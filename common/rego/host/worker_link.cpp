#include "common/rego/host/worker_link.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>

#include "common/limits.hpp"
#include "common/rego/shared_bytes.hpp"

namespace notp::rego {
namespace {

namespace asio = boost::asio;

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kPiecesMax = 64;    // in one system call
constexpr int kReadsInOneTurn = 16;  // then the executor's other work runs

// The ancillary data that passes a frame's descriptors (unix(7), SCM_RIGHTS); empty: it has none.
using Control = std::vector<char>;
Control descriptors(const OutgoingFrame& frame) {
  if (frame.files.empty()) return {};
  std::vector<int> fds;
  for (const SharedBytesPtr& file : frame.files) fds.push_back(file->fd());
  const size_t bytes = fds.size() * sizeof(int);
  Control control(CMSG_SPACE(bytes));
  cmsghdr header{};
  header.cmsg_level = SOL_SOCKET;
  header.cmsg_type = SCM_RIGHTS;
  header.cmsg_len = CMSG_LEN(bytes);
  std::memcpy(control.data(), &header, sizeof header);
  std::memcpy(control.data() + CMSG_LEN(0), fds.data(), bytes);
  return control;
}

}  // namespace

WorkerLink::WorkerLink(asio::any_io_executor executor, WorkerProcess process, WorkerRef ref,
                       WorkerEvents events, size_t frame_bytes_max)
    : ref_(ref),
      events_(std::move(events)),
      reader_(frame_bytes_max),
      process_(std::move(process)),
      socket_(executor, process_->socket()),
      errors_(executor, process_->error_fd()),
      end_(executor, process_->pid_fd()) {}

void WorkerLink::begin() {
  wait_readable();
  wait_errors();
  wait_end();
}

void WorkerLink::close() {
  const RecursiveLock reading(reading_);
  std::optional<WorkerProcess> process;
  {
    const MutexLock lock(mutex_);
    if (!process_) return;
    // Their descriptors belong to the process.
    socket_.release();
    errors_.release();
    end_.release();
    process = std::move(process_);
    process_.reset();
    queue_.clear();
    queue_bytes_ = 0;
  }
  sent_.notify_all();
}

void WorkerLink::wait_readable() {
  const MutexLock lock(mutex_);
  if (!process_) return;
  socket_.async_wait(Descriptor::wait_read, [self = shared_from_this()](auto error) {
    if (!error) self->on_readable();
  });
}

void WorkerLink::wait_writable() {
  socket_.async_wait(Descriptor::wait_write, [self = shared_from_this()](auto error) {
    {
      const MutexLock lock(self->mutex_);
      self->is_waiting_writable_ = false;
    }
    if (!error) self->flush();
  });
}

void WorkerLink::wait_errors() {
  const MutexLock lock(mutex_);
  if (!process_) return;
  errors_.async_wait(Descriptor::wait_read, [self = shared_from_this()](auto error) {
    if (error) return;
    {
      const MutexLock lock_again(self->mutex_);
      if (!self->process_ || !self->process_->read_errors()) return;
    }
    self->wait_errors();
  });
}

void WorkerLink::wait_end() {
  const MutexLock lock(mutex_);
  if (!process_) return;
  end_.async_wait(Descriptor::wait_read, [self = shared_from_this()](auto error) {
    if (!error) self->on_end();
  });
}

void WorkerLink::on_readable() {
  {
    const RecursiveLock reading(reading_);
    for (int i = 0; i < kReadsInOneTurn; ++i)
      if (!read_some()) break;
    if (is_broken_) return;
  }
  wait_readable();
}

bool WorkerLink::read_some() {
  if (is_broken_) return false;
  const auto space = reader_.space(kReadBytes);
  ssize_t got = 0;
  {
    const MutexLock lock(mutex_);
    if (!process_) return false;
    got = ::recv(process_->socket(), space.data(), space.size(), MSG_DONTWAIT);
    if (got < 0) {
      is_broken_ = errno != EAGAIN && errno != EINTR;
      return errno == EINTR;
    }
    // The worker closed its end of the socket: it cannot be used any more.
    if (got == 0) {
      is_broken_ = true;
      process_->kill();
      return false;
    }
  }
  reader_.filled(static_cast<size_t>(got));
  std::vector<IncomingFrame> frames;
  for (;;) {
    auto frame = reader_.next();
    if (!frame) {
      is_broken_ = true;
      events_.on_broken(*this, frame.error());
      return false;
    }
    if (!*frame) break;
    frames.push_back(**frame);
  }
  if (!frames.empty()) events_.on_frames(*this, frames);
  return true;
}

void WorkerLink::on_end() {
  const RecursiveLock reading(reading_);
  // Its answers before its end are not requested again.
  while (read_some()) {
  }
  std::optional<WorkerEnd> ended;
  {
    const MutexLock lock(mutex_);
    if (process_) ended = process_->ended();
  }
  if (ended) return events_.on_ended(*this, *ended);
  // The event belonged to an older descriptor with the same number: Asio may deliver it for this
  // one.
  wait_end();
}

void WorkerLink::queue(OutgoingFrame frame) {
  const MutexLock lock(mutex_);
  if (!process_) return;
  queue_bytes_ += frame.size();
  queue_.push_back(std::move(frame));
}

void WorkerLink::flush() {
  {
    const MutexLock lock(mutex_);
    while (process_ && !queue_.empty() && !is_waiting_writable_) {
      if (send_some()) continue;
      is_waiting_writable_ = true;
      wait_writable();
    }
  }
  sent_.notify_all();
}

bool WorkerLink::send_some() {
  std::array<iovec, kPiecesMax> pieces;
  size_t count = 0, skip = sent_of_first_;
  const auto add = [&](const Bytes& bytes) {
    const size_t skipped = std::min(skip, bytes.size());
    skip -= skipped;
    if (bytes.size() > skipped)
      pieces[count++] = {const_cast<char*>(bytes.data()) + skipped, bytes.size() - skipped};
  };
  for (auto frame = queue_.begin(); frame != queue_.end() && count + 2 <= kPiecesMax; ++frame) {
    if (frame != queue_.begin() && !frame->files.empty()) break;
    add(frame->head);
    if (frame->tail) add(*frame->tail);
  }
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  const Control control = sent_of_first_ == 0 ? descriptors(queue_.front()) : Control();
  if (!control.empty()) {
    message.msg_control = const_cast<char*>(control.data());
    message.msg_controllen = control.size();
  }
  const ssize_t sent = ::sendmsg(process_->socket(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) {
    if (errno == EINTR) return true;
    if (errno == EAGAIN || errno == ENOBUFS) return false;
    // It has closed its end; its exit reports the rest.
    queue_.clear();
    queue_bytes_ = sent_of_first_ = 0;
    return true;
  }
  sent_of_first_ += static_cast<size_t>(sent);
  while (!queue_.empty() && sent_of_first_ >= queue_.front().size()) {
    sent_of_first_ -= queue_.front().size();
    queue_bytes_ -= queue_.front().size();
    queue_.pop_front();
  }
  return true;
}

bool WorkerLink::wait_for_space(size_t bytes) {
  flush();
  MutexLock lock(mutex_);
  while (process_ && queue_bytes_ >= bytes) sent_.wait(lock);
  return process_.has_value();
}

void WorkerLink::kill() {
  const MutexLock lock(mutex_);
  if (process_) process_->kill();
}

WorkerUse WorkerLink::use() {
  const MutexLock lock(mutex_);
  if (!process_) return {};
  return {process_->memory_bytes(), process_->processor_us()};
}

void WorkerLink::limit_data(uint64_t bytes) {
  const MutexLock lock(mutex_);
  if (process_) process_->limit_data(bytes);
}

bool WorkerLink::set_nice(bool low) {
  const MutexLock lock(mutex_);
  return process_ && process_->set_nice(low);
}

void WorkerLink::leave_processor(bool leaves) {
  const MutexLock lock(mutex_);
  if (process_) process_->leave_processor(leaves);
}

}  // namespace notp::rego
