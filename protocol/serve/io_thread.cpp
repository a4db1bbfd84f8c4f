#include "protocol/serve/io_thread.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "common/limits.hpp"
#include "common/spawn.hpp"
#include "protocol/serve/session_host.hpp"

namespace notp::serve {

namespace asio = boost::asio;

namespace {

// A batch, then the thread's other work. Verifying a chain takes some 0.2 ms, an offer some 0.02.
constexpr size_t kRecheckBatch = 16, kEachBatch = 256;

bool every(const SessionHost&) { return true; }

}  // namespace

void IoThread::begin_handshakes(Admission& admission, ServeCounters& counters,
                                HandshakeTurnLimits limits, HandshakeQueue::Begin begin) {
  handshakes_.emplace(context_, admission, counters, limits, std::move(begin));
}

void IoThread::start() {
  spawn(executor(), watch_ends());
  thread_ = std::thread([this] { context_.run(); });
}

void IoThread::join() {
  work_.reset();
  if (thread_.joinable()) thread_.join();
}

void IoThread::for_each(std::function<void(SessionHost&)> what) {
  asio::post(context_, [this, what = std::move(what)] {
    spawn(executor(), each(select(every), what, kEachBatch));
  });
}

void IoThread::deliver(LaneSends sends) {
  asio::post(context_, [this, sends = std::move(sends)] { lane_readers_.deliver(*sends); });
}

void IoThread::recheck_all() {
  asio::post(context_, [this] { spawn(executor(), recheck(select(every))); });
}

void IoThread::recheck_identity(const std::string& identity) {
  asio::post(context_, [this, identity] {
    spawn(executor(), recheck(select([&](const SessionHost& session) {
            return session.identity() == identity;
          })));
  });
}

void IoThread::look_at_clock() {
  asio::post(context_, [this] { first_end_.cancel(); });
}

void IoThread::expect_end(TimeMs end_ms) {
  if (end_ms >= first_end_ms_) return;
  first_end_ms_ = end_ms;
  first_end_.cancel();
}

IoThread::Sessions IoThread::select(const std::function<bool(const SessionHost&)>& which) const {
  Sessions out;
  for (SessionHost* session : sessions_)
    if (which(*session)) out.push_back(session->weak_from_this());
  return out;
}

asio::awaitable<void> IoThread::each(Sessions sessions, std::function<void(SessionHost&)> what,
                                     size_t batch) {
  for (size_t i = 0; i < sessions.size(); ++i) {
    if (const auto session = sessions[i].lock()) what(*session);
    if (i % batch == batch - 1) co_await asio::post(context_, asio::use_awaitable);
  }
}

asio::awaitable<void> IoThread::recheck(Sessions sessions) {
  return each(std::move(sessions), [](SessionHost& session) { session.recheck(); }, kRecheckBatch);
}

asio::awaitable<void> IoThread::watch_ends() {
  while (!stopping_) {
    const TimeMs wait_ms =
        first_end_ms_ == kNever
            ? limits::kWallWaitMs
            : std::clamp<TimeMs>(first_end_ms_ - read_clock().wall_ms, 0, limits::kWallWaitMs);
    first_end_.expires_after(std::chrono::milliseconds(wait_ms));
    static_cast<void>(co_await first_end_.async_wait(asio::as_tuple(asio::use_awaitable)));
    if (stopping_) co_return;
    if (read_clock().wall_ms >= first_end_ms_)
      co_await recheck(select([now_ms = read_clock().wall_ms](const SessionHost& session) {
        return session.peer_end_ms() <= now_ms;
      }));
    const TimeMs now_ms = read_clock().wall_ms;
    first_end_ms_ = kNever;
    for (const SessionHost* session : sessions_)
      if (session->peer_end_ms() > now_ms)
        first_end_ms_ = std::min(first_end_ms_, session->peer_end_ms());
  }
}

}  // namespace notp::serve
