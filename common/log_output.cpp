#include "common/log_output.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <utility>

namespace notp::log {
namespace {

using std::chrono::steady_clock;

// How often the drainer looks whether it shall end.
constexpr int kLookMs = 100;

// False when it does not become writable in time.
bool becomes_writable(int fd, int wait_ms) {
  pollfd entry{.fd = fd, .events = POLLOUT, .revents = 0};
  return ::poll(&entry, 1, wait_ms) == 1;
}

uint64_t lines_in(std::string_view text) {
  return static_cast<uint64_t>(std::ranges::count(text, '\n'));
}

}  // namespace

LogOutput::LogOutput(int fd, LossLine loss_line, int end_ms)
    : fd_(fd),
      kind_([fd] {
        struct stat status{};
        if (::fstat(fd, &status) != 0) return Kind::kPlain;
        return S_ISSOCK(status.st_mode)   ? Kind::kSocket
               : S_ISFIFO(status.st_mode) ? Kind::kPipe
                                          : Kind::kPlain;
      }()),
      loss_line_(std::move(loss_line)),
      end_ms_(end_ms) {}

LogOutput::~LogOutput() {
  std::thread drainer;
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
    changed_.notify_all();
    drainer = std::move(drainer_);
  }
  if (drainer.joinable()) drainer.join();
  const auto end = steady_clock::now() + std::chrono::milliseconds(end_ms_);
  const MutexLock lock(mutex_);
  while (!flush_waiting()) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - steady_clock::now()).count();
    if (left <= 0 || !becomes_writable(fd_, static_cast<int>(left))) return;
  }
}

void LogOutput::write(std::string_view line) {
  const MutexLock lock(mutex_);
  if (flush_waiting()) {
    const size_t written = write_now(line);
    if (written == line.size()) return;
    waiting_ = line.substr(written);
  } else if (waiting_.size() + line.size() <= kWaitingBytesMax && lost_ == 0) {
    waiting_ += line;
  } else {
    return drop(1);
  }
  if (!drainer_.joinable() && !is_ending_) drainer_ = std::thread([this] { drain(); });
  changed_.notify_all();
}

void LogOutput::drop(size_t lines) {
  lost_ += lines;
  dropped_ += lines;
}

// Returns whether nothing waits any more.
bool LogOutput::flush_waiting() {
  while (!waiting_.empty() || lost_ > 0) {
    if (waiting_.empty()) waiting_ = loss_line_(std::exchange(lost_, 0));
    const size_t written = write_now(waiting_);
    waiting_.erase(0, written);
    if (!waiting_.empty()) return false;
  }
  return true;
}

size_t LogOutput::write_now(std::string_view line) {
  size_t written = 0;
  while (written < line.size()) {
    const ssize_t count = write_piece(line.substr(written));
    if (count > 0) {
      written += static_cast<size_t>(count);
    } else if (count < 0 && errno == EAGAIN) {
      return written;
    } else if (count < 0 && errno != EINTR) {
      // Nobody reads any more, or the disk is full: said with the next line that arrives.
      dropped_ += lines_in(line.substr(written));
      return line.size();
    }
  }
  return written;
}

ssize_t LogOutput::write_piece(std::string_view piece) const {
  switch (kind_) {
    case Kind::kPlain:
      return ::write(fd_, piece.data(), piece.size());
    case Kind::kSocket:
      return ::send(fd_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    case Kind::kPipe:
      // O_NONBLOCK would be everybody's who has this pipe. A pipe that polls as writable takes
      // PIPE_BUF bytes at once.
      if (!becomes_writable(fd_, 0)) {
        errno = EAGAIN;
        return -1;
      }
      return ::write(fd_, piece.data(), std::min<size_t>(piece.size(), PIPE_BUF));
  }
  return -1;
}

void LogOutput::drain() {
  MutexLock lock(mutex_);
  while (!is_ending_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    const bool is_writable = becomes_writable(fd_, kLookMs);
    lock.lock();
    if (is_writable) flush_waiting();
  }
}

}  // namespace notp::log
