#include "protocol/transport/pump.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "common/assert.hpp"

namespace notp::transport {
namespace asio = boost::asio;

namespace {

// Bytes requested from the machine at once: a few TLS records, so few that an urgent frame does not
// wait long behind them.
constexpr size_t kOutputBytes = 64 << 10;
constexpr size_t kReadBytes = 16 << 10;  // one TLS record
// A peer that sends continuously must not block the thread for other sessions.
constexpr size_t kYieldBytes = 256 << 10;

// The coroutine that calls run() reads; two more write and wait for deadlines. They do not cancel
// each other's operations: a wake-up is a signal, and the socket is only ever closed.
class Pump {
 public:
  Pump(Connection& connection, session::SessionMachine& machine, Signal& wake,
       const std::function<void()>& after_event, TimeMs stall_ms)
      : connection_(connection),
        machine_(machine),
        wake_(wake),
        after_event_(after_event),
        stall_ms_(stall_ms),
        timer_(connection.executor()),
        child_ended_(connection.executor()) {}

  asio::awaitable<Result<void>> run() {
    spawn(write_loop());
    spawn(deadline_loop());
    const Result<void> read = co_await read_loop();
    // A peer that sends Bye and closes may still read our last bytes.
    while (read && machine_.is_closed() && !writer_ended_ && !close_timed_out_)
      co_await child_ended_.wait();
    ending_ = true;
    if (!machine_.is_closed()) {
      ended_by_machine_ = false;
      tell([&](Now now) { machine_.on_cut(now); });
    }
    connection_.abort();
    wake_.notify();
    timer_.cancel();
    while (children_ > 0) co_await child_ended_.wait();
    co_return outcome(read);
  }

 private:
  void spawn(asio::awaitable<void> child) {
    ++children_;
    asio::co_spawn(connection_.executor(), std::move(child), [this](std::exception_ptr exception) {
      // Only memory exhaustion can cause this, and a pump without its writer would hang.
      NOTP_ASSERT(!exception, "a coroutine of the pump does not throw");
      --children_;
      child_ended_.notify();
    });
  }

  Result<void> outcome(const Result<void>& read) const {
    if (ended_by_machine_ && output_sent_) return {};
    if (close_timed_out_)
      return fail(ErrorCode::kTimeout, fmt::format("{} did not take the last bytes within {} ms",
                                                   connection_.peer_address(), limits::kCloseMs));
    // A received refusal explains more than the failed write after it.
    const bool read_explains = !read && read.error().code != ErrorCode::kUnavailable &&
                               read.error().code != ErrorCode::kCancelled;
    if (!read_explains && !write_error_.message.empty()) return std::unexpected(write_error_);
    if (!read) return read;
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} closed the connection", connection_.peer_address()));
  }

  // Must not throw: the other coroutines use this object.
  void tell(auto event) noexcept {
    event(read_clock());
    after_event_();
    wake_.notify();
    observe();
  }

  // Ends without error at the end of the stream.
  asio::awaitable<Result<void>> read_loop() {
    // Not used across awaits, so one for all sessions of the thread: an idle one keeps no buffer.
    thread_local std::array<char, kReadBytes> scratch;
    size_t since_yield = 0;
    while (true) {
      auto read = connection_.try_read(scratch.data(), scratch.size());
      if (!read) co_return std::unexpected(std::move(read).error());
      if (!*read) {
        since_yield = 0;
        auto waited = co_await connection_.wait_readable();
        if (!waited) co_return waited;
        continue;
      }
      if (**read == 0) co_return Result<void>{};
      if (!closing_)
        tell([&](Now now) { machine_.receive(ByteView(scratch.data(), **read), now); });
      since_yield += **read;
      if (since_yield < kYieldBytes) continue;
      since_yield = 0;
      co_await asio::post(connection_.executor(), asio::use_awaitable);
    }
  }

  asio::awaitable<void> write_loop() {
    co_await write_until_closed();
    writer_ended_ = true;
  }

  asio::awaitable<void> write_until_closed() {
    while (!ending_) {
      const Bytes output = machine_.take_output(kOutputBytes);
      observe();
      if (!output.empty()) {
        expect_taking();
        writing_ = true;
        auto written = co_await connection_.write(output);
        writing_ = false;
        if (written) continue;
        write_error_ = std::move(written).error();
        // The reader finds the reason, or the end of the stream, within the time of a close.
        start_closing();
        co_return;
      }
      if (closing_) {
        output_sent_ = true;
        connection_.finish_output();
        co_return;
      }
      co_await wake_.wait();
      observe();
    }
  }

  asio::awaitable<void> deadline_loop() {
    while (!ending_) {
      armed_ms_ = deadline();
      if (armed_ms_ == kNever) {
        timer_.expires_at(asio::steady_timer::time_point::max());
      } else {
        timer_.expires_after(
            std::chrono::milliseconds(std::max<TimeMs>(0, armed_ms_ - read_clock().boot_ms)));
      }
      static_cast<void>(co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable)));
      if (ending_) co_return;
      if (read_clock().boot_ms < deadline()) continue;
      if (closing_) {
        close_timed_out_ = true;
        connection_.abort();
        co_return;
      }
      if (read_clock().boot_ms >= look_ms_) look();
      if (!closing_ && read_clock().boot_ms >= machine_.next_deadline())
        tell([&](Now due) { machine_.on_deadline(due); });
    }
  }

  TimeMs deadline() const {
    return closing_ ? close_ms_ : std::min(machine_.next_deadline(), look_ms_);
  }

  // Output is under way: the peer has to take it.
  void expect_taking() {
    if (look_ms_ != kNever) return;
    taken_ = connection_.bytes_taken();
    progress_ms_ = read_clock().boot_ms;
    look_ms_ = progress_ms_ + look_every_ms();
    observe();
  }

  TimeMs look_every_ms() const { return std::max<TimeMs>(1, stall_ms_ / 4); }

  // Checks whether the peer has taken anything since the last check.
  void look() {
    const uint64_t taken = connection_.bytes_taken();
    const TimeMs now_ms = read_clock().boot_ms;
    look_ms_ = kNever;
    if (!writing_ && taken == connection_.bytes_sent()) return;
    if (taken != std::exchange(taken_, taken)) progress_ms_ = now_ms;
    if (now_ms - progress_ms_ >= stall_ms_) {
      tell([&](Now now) { machine_.on_stalled(now); });
      if (!machine_.is_closed()) connection_.abort();
      return;
    }
    look_ms_ = now_ms + look_every_ms();
  }

  // A timer that is armed too early only causes one extra wake-up, which is cheaper than moving it
  // at every message; one that is armed too late must move. So must the first one: the deadline for
  // a peer's first message is far shorter than the later ones.
  void observe() {
    if (machine_.is_closed()) start_closing();
    const bool opened = is_opening_ && deadline() > armed_ms_;
    if (opened) is_opening_ = false;
    if (opened || deadline() < armed_ms_) timer_.cancel();
  }

  void start_closing() {
    if (closing_) return;
    closing_ = true;
    close_ms_ = read_clock().boot_ms + limits::kCloseMs;
    wake_.notify();
    timer_.cancel();
  }

  Connection& connection_;
  session::SessionMachine& machine_;
  Signal& wake_;
  const std::function<void()>& after_event_;

  const TimeMs stall_ms_;

  asio::steady_timer timer_;
  TimeMs armed_ms_ = kNever;
  bool is_opening_ = true;
  Signal child_ended_;
  int children_ = 0;

  bool writing_ = false;
  TimeMs look_ms_ = kNever;  // next check of the taken bytes; kNever: nothing is under way
  uint64_t taken_ = 0;       // at the last check
  TimeMs progress_ms_ = 0;   // last time it grew

  bool closing_ = false;  // received bytes are ignored
  TimeMs close_ms_ = kNever;
  bool ending_ = false;
  bool writer_ended_ = false;
  bool output_sent_ = false;
  bool ended_by_machine_ = true;
  bool close_timed_out_ = false;
  Error write_error_;  // empty message: none
};

}  // namespace

asio::awaitable<Result<void>> pump(Connection& connection, session::SessionMachine& machine,
                                   Signal& wake, const std::function<void()>& after_event,
                                   TimeMs stall_ms) {
  Pump pump(connection, machine, wake, after_event, stall_ms);
  auto outcome = co_await pump.run();
  co_return outcome;
}

}  // namespace notp::transport
