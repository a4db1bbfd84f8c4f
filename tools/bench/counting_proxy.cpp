#include "tools/bench/counting_proxy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace notp::bench {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kBufferBytes = 64 << 10;
constexpr uint64_t kPingBytesMax = 40;  // a Ping in its own TLS record

tcp::endpoint loopback(uint16_t port) { return {asio::ip::address_v4::loopback(), port}; }

uint64_t sum(const std::vector<Flight>& flights, bool up) {
  uint64_t bytes = 0;
  for (const Flight& flight : flights)
    if (flight.up == up) bytes += flight.bytes;
  return bytes;
}

}  // namespace

uint64_t Traffic::up_bytes() const { return sum(flights, true); }
uint64_t Traffic::down_bytes() const { return sum(flights, false); }

double Traffic::round_trips() const {
  int turns = 0, turns_until_last_down = 0;
  for (size_t i = 0; i < flights.size(); ++i) {
    if (i == 0 || flights[i].up != flights[i - 1].up) ++turns;
    if (!flights[i].up) turns_until_last_down = turns;
  }
  return turns_until_last_down / 2.0;
}

Traffic Traffic::without_pings() const {
  Traffic out = *this;
  auto& rest = out.flights;
  for (size_t i = 0; i + 1 < rest.size();) {
    const bool ping = rest[i].up && !rest[i + 1].up && rest[i].bytes <= kPingBytesMax &&
                      rest[i + 1].bytes == rest[i].bytes;
    if (!ping) {
      ++i;
      continue;
    }
    rest.erase(rest.begin() + static_cast<ptrdiff_t>(i),
               rest.begin() + static_cast<ptrdiff_t>(i) + 2);
    --out.up_records, --out.down_records;
  }
  return out;
}

// --- routes

uint64_t Route::RecordCounter::feed(const char* data, size_t size) {
  uint64_t records = 0;
  while (size > 0) {
    if (left > 0) {
      const size_t take = std::min(left, size);
      data += take, size -= take, left -= take;
      continue;
    }
    header[header_bytes++] = static_cast<uint8_t>(*data);
    ++data, --size;
    if (header_bytes < sizeof header) continue;
    left = static_cast<size_t>(header[3]) << 8 | header[4];
    header_bytes = 0;
    ++records;
  }
  return records;
}

Route::Transit Route::count(bool up, const char* data, size_t size, RecordCounter& records) {
  const std::scoped_lock lock(mutex_);
  const bool is_cut = !up && left_until_cut_ && *left_until_cut_ <= size;
  if (is_cut) size = *left_until_cut_;
  auto& flights = traffic_.flights;
  if (flights.empty() || flights.back().up != up || flights.back().bytes <= kPingBytesMax)
    flights.push_back({up, 0});
  flights.back().bytes += size;
  if (is_tls_) (up ? traffic_.up_records : traffic_.down_records) += records.feed(data, size);
  if (!up && left_until_cut_) *left_until_cut_ -= size;
  if (is_cut) {
    until_cut_ = std::exchange(traffic_, {});
    left_until_cut_.reset();
    changed_.notify_all();
  }
  return {size, is_cut};
}

void Route::cut_after(uint64_t down_bytes) {
  const std::scoped_lock lock(mutex_);
  left_until_cut_ = down_bytes;
  until_cut_.reset();
}

Result<Traffic> Route::await_cut(TimeMs patience_ms) {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
                        [this] { return until_cut_.has_value(); }))
    return *std::exchange(until_cut_, std::nullopt);
  return fail(ErrorCode::kTimeout, "too little came down through the proxy to cut it");
}

void Route::connection_opened() {
  const std::scoped_lock lock(mutex_);
  ++open_;
}

void Route::connection_closed() {
  const std::scoped_lock lock(mutex_);
  --open_;
  changed_.notify_all();
}

Traffic Route::take() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(traffic_, {});
}

Result<void> Route::wait_closed(TimeMs patience_ms) {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
                        [this] { return open_ == 0; }))
    return {};
  return fail(ErrorCode::kTimeout, "a connection through the proxy did not end");
}

// --- connections

// Two sockets and the bytes between them. Kept alive by the coroutines of both directions.
class Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(tcp::socket near, Route& route)
      : near_(std::move(near)), far_(near_.get_executor()), route_(route) {
    route_.connection_opened();
  }
  ~Conversation() { route_.connection_closed(); }

  asio::awaitable<void> run() {
    const auto self = shared_from_this();
    const auto [refused] = co_await far_.async_connect(loopback(route_.target_), kTuple);
    if (refused) co_return;
    boost::system::error_code ignored;
    near_.set_option(tcp::no_delay(true), ignored);
    far_.set_option(tcp::no_delay(true), ignored);
    asio::co_spawn(near_.get_executor(), forward(near_, far_, true), asio::detached);
    co_await forward(far_, near_, false);
  }

 private:
  asio::awaitable<void> forward(tcp::socket& from, tcp::socket& to, bool up) {
    const auto self = shared_from_this();
    Route::RecordCounter records;
    std::vector<char> buffer(kBufferBytes);
    for (;;) {
      const auto [ended, got] = co_await from.async_read_some(asio::buffer(buffer), kTuple);
      if (ended || is_cut_) break;
      const Route::Transit transit = route_.count(up, buffer.data(), got, records);
      is_cut_ |= transit.is_cut;  // the other direction forwards nothing from here on
      const auto [failed, sent] =
          co_await asio::async_write(to, asio::buffer(buffer, transit.bytes), kTuple);
      if (failed) break;
      if (transit.is_cut) co_return cut();
    }
    boost::system::error_code ignored;
    to.shutdown(tcp::socket::shutdown_send, ignored);
    from.shutdown(tcp::socket::shutdown_receive, ignored);
  }

  void cut() {
    boost::system::error_code ignored;
    near_.close(ignored);
    far_.close(ignored);
  }

  tcp::socket near_, far_;
  Route& route_;
  bool is_cut_ = false;
};

namespace {

asio::awaitable<void> accept_all(tcp::acceptor acceptor, Route& route) {
  for (;;) {
    auto [failed, socket] = co_await acceptor.async_accept(kTuple);
    if (failed) co_return;
    const auto conversation = std::make_shared<Conversation>(std::move(socket), route);
    asio::co_spawn(acceptor.get_executor(), conversation->run(), asio::detached);
  }
}

}  // namespace

CountingProxy::CountingProxy() : thread_([this] { context_.run(); }) {}

CountingProxy::~CountingProxy() {
  context_.stop();
  thread_.join();
}

Result<Route*> CountingProxy::add_route(uint16_t target_port, bool is_tls) {
  boost::system::error_code failed;
  tcp::acceptor acceptor(context_);
  acceptor.open(tcp::v4(), failed);
  if (!failed) acceptor.bind(loopback(0), failed);
  if (!failed) acceptor.listen(asio::socket_base::max_listen_connections, failed);
  if (failed) return fail(ErrorCode::kIo, fmt::format("the proxy: {}", failed.message()));
  auto route = std::make_unique<Route>();
  route->port_ = acceptor.local_endpoint().port();
  route->target_ = target_port;
  route->is_tls_ = is_tls;
  Route* added = routes_.emplace_back(std::move(route)).get();
  asio::co_spawn(context_, accept_all(std::move(acceptor), *added), asio::detached);
  return added;
}

}  // namespace notp::bench
