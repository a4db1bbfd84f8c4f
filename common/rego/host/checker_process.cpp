#include "common/rego/host/checker_process.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "common/limits.hpp"

namespace notp::rego {
namespace {

constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kRunningMax = 256;  // a worker that names more is not trusted

}  // namespace

TimeMs steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Result<std::unique_ptr<CheckerProcess>> CheckerProcess::start(const WorkerOptions& options,
                                                              std::string_view opa_version) {
  NOTP_ASSIGN(auto process, WorkerProcess::start(options));
  auto checker = std::unique_ptr<CheckerProcess>(new CheckerProcess(std::move(process)));
  const TimeMs end_ms = steady_ms() + limits::kWorkerStartMs;
  for (;;) {
    const auto hello = checker->reader_.next();
    if (!hello) return std::unexpected(hello.error());
    if (*hello) {
      NOTP_ASSIGN(const Hello says, decode_hello((*hello)->payload));
      if ((*hello)->operation == static_cast<uint8_t>(Operation::kHello) &&
          says.protocol == kWorkerProtocol && says.opa_version == opa_version)
        return checker;
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{} has protocol {} and OPA {}, and not {} and {}", options.program,
                              says.protocol, says.opa_version, kWorkerProtocol, opa_version));
    }
    if (checker->receive()) continue;
    if (const auto end = checker->process_.ended()) return fail(ErrorCode::kUnavailable, end->why);
    if (steady_ms() >= end_ms)
      return fail(ErrorCode::kUnavailable, options.program + " said nothing after its start");
    checker->wait(end_ms - steady_ms());
  }
}

void CheckerProcess::limit_memory(uint64_t bytes) const {
  process_.limit_data(bytes + limits::kWorkerDataSlackBytes);
}

std::variant<Bytes, CheckStopped> CheckerProcess::ask(uint32_t id, OutgoingFrame frame,
                                                      const CheckBounds& bounds) {
  queue_.push_back(std::move(frame));
  running_.clear();
  next_look_ms_ = 0;
  asked_us_ = charged_us_ = process_.processor_us();
  moved_ms_ = steady_ms();
  for (;;) {
    auto result = step(id, bounds);
    if (auto* answer = std::get_if<Bytes>(&result)) return std::move(*answer);
    if (auto* stopped = std::get_if<CheckStopped>(&result)) return std::move(*stopped);
  }
}

CheckerProcess::Step CheckerProcess::step(uint32_t id, const CheckBounds& bounds) {
  while (send()) {
  }
  const bool has_read = receive();
  auto taken = take_frames(id);
  if (!std::holds_alternative<std::monostate>(taken)) return taken;
  auto looked = look(bounds);
  if (!std::holds_alternative<std::monostate>(looked)) return looked;
  if (has_read) return {};
  if (const auto end = process_.ended()) {
    using enum CheckStopped::Cause;
    return stop(end->death == Death::kMemory  ? kMemory
                : end->death == Death::kCrash ? kCrash
                                              : kOutside,
                end->why);
  }
  wait(limits::kWorkerLookMs);
  return {};
}

void CheckerProcess::wait(int64_t wait_ms) {
  const short wanted = queue_.empty() ? POLLIN : POLLIN | POLLOUT;
  pollfd fds[] = {{process_.socket(), wanted, 0},
                  {process_.pid_fd(), POLLIN, 0},
                  {process_.error_fd(), POLLIN, 0}};
  ::poll(fds, std::size(fds), static_cast<int>(wait_ms));
  // At its end this descriptor stays readable; the end of the process is near then, too.
  if (fds[2].revents != 0) process_.read_errors();
}

bool CheckerProcess::send() {
  if (queue_.empty()) return false;
  const OutgoingFrame& frame = queue_.front();
  const bool in_head = sent_of_first_ < frame.head.size();
  const Bytes& part = in_head ? frame.head : *frame.tail;
  const size_t from = in_head ? sent_of_first_ : sent_of_first_ - frame.head.size();
  const int more = in_head && frame.tail ? MSG_MORE : 0;
  const ssize_t sent = ::send(process_.socket(), part.data() + from, part.size() - from,
                              MSG_NOSIGNAL | MSG_DONTWAIT | more);
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR) queue_.clear();  // its end tells the rest
    return errno == EINTR;
  }
  sent_of_first_ += static_cast<size_t>(sent);
  if (sent_of_first_ == frame.size()) {
    queue_.pop_front();
    sent_of_first_ = 0;
  }
  return true;
}

bool CheckerProcess::receive() {
  const auto space = reader_.space(kReadBytes);
  const ssize_t got = ::recv(process_.socket(), space.data(), space.size(), MSG_DONTWAIT);
  if (got == 0) process_.kill();  // it is useless without its socket
  if (got <= 0) return false;
  reader_.filled(static_cast<size_t>(got));
  return true;
}

CheckerProcess::Step CheckerProcess::take_frames(uint32_t id) {
  for (;;) {
    const auto frame = reader_.next();
    if (!frame) return stop(CheckStopped::Cause::kCrash, frame.error().message);
    if (!*frame) return {};
    if ((*frame)->operation == static_cast<uint8_t>(Operation::kProgress))
      note(**frame);
    else if ((*frame)->id == id)
      return Bytes((*frame)->payload);
  }
}

void CheckerProcess::note(const IncomingFrame& frame) {
  const auto progress = decode_progress(frame.payload);
  if (!progress) return;
  charge();
  std::erase_if(running_, [&](const Running& each) {
    return each.what.path == progress->path && each.what.name == progress->name;
  });
  if (progress->begins && running_.size() < kRunningMax) running_.push_back({*progress});
}

// Divides the processor time since the last check among all running tests: the kernel only counts
// it for the process.
void CheckerProcess::charge() {
  const int64_t now_us = process_.processor_us();
  const int64_t passed_us = now_us - charged_us_;
  if (passed_us <= 0) return;  // also 0 when it has ended
  charged_us_ = now_us;
  moved_ms_ = steady_ms();
  for (Running& each : running_) {
    each.spent_us += passed_us / static_cast<int64_t>(running_.size());
    each.was_alone = each.was_alone && running_.size() == 1;
  }
}

CheckerProcess::Step CheckerProcess::look(const CheckBounds& bounds) {
  const TimeMs now = steady_ms();
  if (now < next_look_ms_) return {};
  next_look_ms_ = now + limits::kWorkerLookMs;
  auto late = look_at_time(bounds, now);
  if (!std::holds_alternative<std::monostate>(late)) return late;
  const uint64_t bytes = process_.memory_bytes();
  if (bytes <= bounds.memory_bytes) return {};
  return stop(CheckStopped::Cause::kMemory,
              fmt::format("it took {} MiB of memory, of {} that it may take", bytes >> 20,
                          bounds.memory_bytes >> 20));
}

CheckerProcess::Step CheckerProcess::look_at_time(const CheckBounds& bounds, TimeMs now) {
  using enum CheckStopped::Cause;
  charge();
  const int64_t spent_ms = (charged_us_ - asked_us_) / 1'000;
  for (const Running& each : running_) {
    const int64_t may_us = (bounds.test_ms + limits::kModelTestGraceMs) * 1'000;
    if (each.what.name.empty() || each.spent_us < may_us) continue;
    const bool was_alone = each.was_alone;
    running_ = {Running(each)};
    auto late =
        stop(kTime, fmt::format("it took more than {} ms of processor time", bounds.test_ms));
    late.was_alone = was_alone;
    return late;
  }
  if (spent_ms >= bounds.all_ms)
    return stop(kTime,
                fmt::format("it took more than {} s of processor time", bounds.all_ms / 1'000));
  if (now >= bounds.end_ms)
    return stop(kBusy, fmt::format("this machine is too busy to judge the model: there were {:.1f} "
                                   "s of processor time for it; try again",
                                   static_cast<double>(spent_ms) / 1e3));
  if (now >= moved_ms_ + bounds.still_ms)
    return stop(kOutside,
                fmt::format("the policy worker stood still for {} s", bounds.still_ms / 1'000));
  return {};
}

CheckStopped CheckerProcess::stop(CheckStopped::Cause cause, std::string why) {
  process_.kill();
  CheckStopped stopped{cause, std::move(why), {}, false};
  for (auto& each : running_) stopped.running.push_back(std::move(each.what));
  running_.clear();
  return stopped;
}

}  // namespace notp::rego
