#include "protocol/transport/pump.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

#include "protocol/transport/signal.hpp"

namespace notp::transport {
namespace asio = boost::asio;

namespace {

constexpr size_t kRecordBytes = 16 << 10;  // RFC 8446 §5.1
// A peer that sends or takes continuously must not block the thread for other sessions.
constexpr size_t kYieldBytes = 256 << 10;
// Read at once: a record can have thousands of short frames.
constexpr size_t kReadYieldBytes = kRecordBytes;
constexpr size_t kReadCostBytes = 256;  // a record of one byte costs as much as a short one

// Bytes on their way to the peer: the session's own, or a buffer that sessions share.
class Output {
 public:
  bool empty() const { return own_.empty() && !shared_; }
  void take_from(session::SessionMachine& machine) {
    shared_ = machine.take_shared();
    if (!shared_) own_ = machine.take_output(kRecordBytes);
  }
  ByteView rest() const { return ByteView(shared_ ? *shared_ : own_).substr(written_); }
  void drop(size_t bytes) {
    written_ += bytes;
    if (!rest().empty()) return;
    shared_.reset();
    own_ = {};
    written_ = 0;
  }

 private:
  Bytes own_;
  model::Content shared_;
  size_t written_ = 0;
};

// Sees whether the peer's system takes what was sent to it.
class StallWatch {
 public:
  explicit StallWatch(TimeMs stall_ms) : stall_ms_(stall_ms) {}

  // Output goes out, after `sent` bytes that were all taken, unless a look is due.
  void expect_taking(uint64_t sent) {
    if (look_ms_ != kNever) return;
    taken_ = sent;
    progress_ms_ = read_clock().boot_ms;
    look_ms_ = progress_ms_ + look_every_ms();
  }
  // Boot time of the next look; kNever: nothing is under way.
  TimeMs look_ms() const { return look_ms_; }
  // The look: `taken` bytes by now; whether more are to follow. true: for too long, no more than
  // before.
  bool is_stalled(uint64_t taken, bool more) {
    const TimeMs now_ms = read_clock().boot_ms;
    look_ms_ = more ? now_ms + look_every_ms() : kNever;
    if (taken != std::exchange(taken_, taken)) progress_ms_ = now_ms;
    return more && now_ms - progress_ms_ >= stall_ms_;
  }

 private:
  TimeMs look_every_ms() const { return std::max<TimeMs>(1, stall_ms_ / 4); }

  const TimeMs stall_ms_;
  TimeMs look_ms_ = kNever;
  uint64_t taken_ = 0;      // at the last look
  TimeMs progress_ms_ = 0;  // last time it grew
};

}  // namespace

// Ten thousand of these are idle in a registry: callbacks and one timer, because each coroutine
// that waits would keep its frames.
class Pump final : Wake::Woken {
 public:
  Pump(Connection& connection, session::SessionMachine& machine, Wake& wake,
       const std::function<void()>& after_event, TimeMs stall_ms)
      : connection_(connection),
        machine_(machine),
        wake_(wake.pump_),
        after_event_(after_event),
        timer_(connection.executor()),
        settled_(connection.executor()),
        stall_(stall_ms) {
    *wake_ = this;
  }
  ~Pump() { *wake_ = nullptr; }
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  void start() {
    write();
    read();
  }
  // Whether it has ended and no callback is left; settled() is notified then.
  bool is_settled() const { return ending_ && waits_ == 0; }
  Signal& settled() { return settled_; }

  Result<void> outcome() const {
    if (ended_by_machine_ && output_sent_) return {};
    if (close_timed_out_)
      return fail(ErrorCode::kTimeout, fmt::format("{} did not take the last bytes within {} ms",
                                                   connection_.peer_address(), limits::kCloseMs));
    // A received refusal explains more than the failed write after it.
    const bool read_explains = !*read_ && read_->error().code != ErrorCode::kUnavailable &&
                               read_->error().code != ErrorCode::kCancelled;
    if (!read_explains && write_error_) return std::unexpected(*write_error_);
    if (!*read_) return *read_;
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} closed the connection", connection_.peer_address()));
  }

 private:
  void woken() override {
    if (is_telling_) return;
    observe();
    write();
  }

  // Must not throw: nothing would end the pump.
  void tell(auto event) noexcept {
    const bool outer = std::exchange(is_telling_, true);
    event(read_clock());
    after_event_();
    is_telling_ = outer;
    observe();
  }

  // A callback that the pump waits for before it returns.
  auto counted(auto next) {
    ++waits_;
    return [this, next](const boost::system::error_code& error = {}) {
      --waits_;
      if (!ending_) next(error);
      if (is_settled()) settled_.notify();
    };
  }

  // --- from the peer

  void read() {
    // Not used across waits, so one for all sessions of the thread: an idle one keeps no buffer.
    thread_local std::array<char, kRecordBytes> scratch;
    size_t since_yield = 0;
    is_telling_ = true;  // one answer to all that is there
    while (!read_) {
      ByteView received;
      if (!has_more_) {
        auto got = connection_.try_read(scratch.data(), scratch.size());
        if (!got) {
          end_reading(std::unexpected(std::move(got).error()));
          continue;
        }
        if (!*got) {
          connection_.when_readable(counted([this](const auto& error) {
            if (error) return end_reading(connection_.waited(error));
            read();
          }));
          break;
        }
        if (**got == 0) {
          end_reading({});
          continue;
        }
        received = ByteView(scratch.data(), **got);
      }
      // After an error of the writer, too, what has come is handled as a whole.
      const bool is_rest = std::exchange(has_more_, false);
      if (!is_closing() || (is_rest && !machine_.is_closed()))
        tell([&](Now now) { has_more_ = machine_.receive_part(received, now); });
      since_yield += std::max(received.size(), kReadCostBytes);
      if (!has_more_ && since_yield < kReadYieldBytes) continue;
      asio::post(connection_.executor(), counted([this](const auto&) { read(); }));
      break;
    }
    is_telling_ = false;
    write();
  }

  void end_reading(Result<void> outcome) {
    read_ = std::move(outcome);
    end_if_done();
  }

  // --- to the peer

  void write() {
    if (ending_ || has_written_all() || is_writing_) return;
    look_if_due();
    if (waits_for_room_) return;
    is_writing_ = true;
    size_t since_yield = 0;
    while (prepare_output()) {
      const auto written = connection_.try_write(output_.rest());
      if (!written) {
        write_error_ = written.error();
        // The reader finds the reason, or the end of the stream, within the time of a close.
        start_closing();
        break;
      }
      if (!*written) {
        waits_for_room_ = true;
        connection_.when_writable(counted([this](const auto&) { go_on_writing(); }));
        break;
      }
      output_.drop(**written);
      since_yield += **written;
      if (since_yield < kYieldBytes) continue;
      waits_for_room_ = true;
      asio::post(connection_.executor(), counted([this](const auto&) { go_on_writing(); }));
      break;
    }
    is_writing_ = false;
    end_if_done();
    arm();
  }

  void go_on_writing() {
    waits_for_room_ = false;
    write();
  }

  // Whether there is something to write.
  bool prepare_output() {
    if (!output_.empty()) return true;
    output_.take_from(machine_);
    observe();
    if (!output_.empty()) {
      stall_.expect_taking(connection_.bytes_sent());
      return true;
    }
    if (!is_closing()) return false;
    output_sent_ = true;
    connection_.finish_output();
    return false;
  }

  // Or cannot write any more.
  bool has_written_all() const { return output_sent_ || write_error_; }

  // --- the end

  void observe() {
    if (machine_.is_closed()) start_closing();
    if (!is_writing_) arm();
  }

  // Received bytes are ignored, and what is left to write has to go within kCloseMs.
  bool is_closing() const { return close_ms_ != kNever; }

  void start_closing() {
    if (is_closing()) return;
    close_ms_ = read_clock().boot_ms + limits::kCloseMs;
  }

  // A peer that sends Bye and closes may still read our last bytes.
  void end_if_done() {
    if (ending_ || !read_) return;
    if (*read_ && machine_.is_closed() && !has_written_all() && !close_timed_out_) return;
    ending_ = true;
    if (!machine_.is_closed()) {
      ended_by_machine_ = false;
      tell([&](Now now) { machine_.on_cut(now); });
    }
    connection_.abort();
    timer_.cancel();
    settled_.notify();
  }

  // --- deadlines

  // What the peer's system has taken so far is looked at when there is more to write; only a writer
  // that waits needs a timer for it.
  TimeMs deadline() const {
    if (is_closing()) return close_ms_;
    return std::min(machine_.next_deadline(), waits_for_room_ ? stall_.look_ms() : kNever);
  }

  // A timer that is armed too early only causes one extra wake-up, which is cheaper than moving it
  // at every message; one that is armed too late must move. So must the first one: the deadline for
  // a peer's first message is far shorter than the later ones.
  void arm() {
    if (ending_) return;
    const TimeMs due_ms = deadline();
    const bool opened = is_opening_ && armed_ms_ != kNever && due_ms > armed_ms_;
    if (opened) is_opening_ = false;
    if (!opened && due_ms >= armed_ms_) return;
    armed_ms_ = due_ms;
    timer_.expires_after(
        std::chrono::milliseconds(std::max<TimeMs>(0, due_ms - read_clock().boot_ms)));
    timer_.async_wait(counted([this, number = ++timer_number_](const auto&) {
      if (number == timer_number_) on_timer();
    }));
  }

  void on_timer() {
    armed_ms_ = kNever;
    if (read_clock().boot_ms >= deadline()) {
      if (is_closing()) {
        close_timed_out_ = true;
        connection_.abort();
        return end_if_done();
      }
      if (read_clock().boot_ms >= machine_.next_deadline())
        tell([&](Now due) { machine_.on_deadline(due); });
    }
    write();
    arm();
  }

  void look_if_due() {
    if (is_closing() || read_clock().boot_ms < stall_.look_ms()) return;
    const uint64_t taken = connection_.bytes_taken();
    if (!stall_.is_stalled(taken, !output_.empty() || taken != connection_.bytes_sent())) return;
    tell([&](Now now) { machine_.on_stalled(now); });
    if (!machine_.is_closed()) connection_.abort();
  }

  Connection& connection_;
  session::SessionMachine& machine_;
  const std::shared_ptr<Wake::Woken*> wake_;
  const std::function<void()>& after_event_;

  asio::steady_timer timer_;
  TimeMs armed_ms_ = kNever;
  uint32_t timer_number_ = 0;  // of the newest wait: older ones mean nothing
  bool is_opening_ = true;
  Signal settled_;
  int waits_ = 0;  // callbacks to come

  Output output_;
  bool is_telling_ = false, is_writing_ = false;  // on the stack
  bool waits_for_room_ = false;
  StallWatch stall_;

  bool has_more_ = false;     // of what was received, the machine has not handled all
  TimeMs close_ms_ = kNever;  // until then; kNever: it is not closing
  bool ending_ = false;
  bool output_sent_ = false;
  bool ended_by_machine_ = true;
  bool close_timed_out_ = false;
  std::optional<Result<void>> read_;  // nullopt: the peer may still send
  std::optional<Error> write_error_;
};

asio::awaitable<Result<void>> pump(Connection& connection, session::SessionMachine& machine,
                                   Wake& wake, const std::function<void()>& after_event,
                                   TimeMs stall_ms) {
  Pump pump(connection, machine, wake, after_event, stall_ms);
  pump.start();
  while (!pump.is_settled()) co_await pump.settled().wait();
  co_return pump.outcome();
}

}  // namespace notp::transport
