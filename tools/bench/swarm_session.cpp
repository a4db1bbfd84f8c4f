#include "tools/bench/swarm_session.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/http/deadline.hpp"
#include "common/limits.hpp"

namespace notp::bench {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// As an agent's (notp-client/agent/host/dialer.cpp).
constexpr TimeMs kConnectMs = 20'000;
constexpr TimeMs kSlowWriteMs = 10'000;  // a Ping that the registry does not read
constexpr size_t kReadBytes = 16 << 10;
constexpr uint32_t kAddressFirst = (127U << 24) + (1U << 16);  // 127.1.0.0

SwarmDialEnd end_of(const Error& error, bool is_port_closed) {
  if (is_port_closed) return SwarmDialEnd::kPortClosed;
  return error.code == ErrorCode::kTimeout ? SwarmDialEnd::kTimeout : SwarmDialEnd::kRefused;
}

}  // namespace

// --- FirstDials

asio::awaitable<void> FirstDials::begin(transport::Signal& turn) {
  if (free_ > 0) {
    --free_;
    co_return;
  }
  waiting_.push_back(&turn);
  co_await turn.wait();
}

void FirstDials::ended() {
  if (waiting_.empty()) {
    ++free_;
    return;
  }
  waiting_.front()->notify();
  waiting_.pop_front();
}

// --- dialling

SwarmSession::SwarmSession(const SwarmContext& context, size_t number)
    : context_(context),
      number_(number),
      role_(role_of(number, context.plan.mute, context.plan.slow)),
      dial_(limits::kBackoffFirstMs, limits::kBackoffMaxMs, context.random, read_clock().boot_ms),
      turn_(context.io.get_executor()),
      timer_(context.io),
      freshness_(context.statements, context.plan.identities->trust_domain(),
                 context.plan.identities->name(number),
                 number % SwarmFreshness::kVerifiedEvery == 0) {}

asio::awaitable<void> SwarmSession::live() {
  co_await context_.first_dials.begin(turn_);
  for (bool is_first = true; !context_.is_ending; is_first = false) {
    const bool is_due = dial_.start_if_due(read_clock().boot_ms);
    if (!is_due) {
      co_await wait_for_dial();
      continue;
    }
    context_.tally.dialled();
    const Result<void> connected = co_await connect();
    if (is_first) context_.first_dials.ended();
    if (context_.is_ending) break;
    if (!connected) {
      on_dial_failed(connected.error());
      continue;
    }
    dial_.on_connected();
    if (role_ != SwarmRole::kSlow)
      co_await converse();
    else if (co_await be_slow())
      break;
  }
  connection_.reset();
}

void SwarmSession::end() {
  boost::system::error_code ignored;
  turn_.notify();
  timer_.cancel();
  if (dialling_ != nullptr) dialling_->close(ignored);
  if (connection_) connection_->abort();
}

asio::awaitable<void> SwarmSession::wait_for_dial() {
  timer_.expires_after(
      std::chrono::milliseconds(std::max<TimeMs>(dial_.next_deadline() - read_clock().boot_ms, 1)));
  static_cast<void>(co_await timer_.async_wait(kAwait));
}

void SwarmSession::on_dial_failed(const Error& error) {
  context_.tally.dial_failed(end_of(error, port_was_closed_), error);
  dial_.on_connect_failed(
      error, port_was_closed_ ? agent::DialFailure::kPortClosed : agent::DialFailure::kOther,
      read_clock().boot_ms);
}

asio::awaitable<Result<void>> SwarmSession::connect() {
  const TimeMs deadline_ms = read_clock().boot_ms + kConnectMs;
  port_was_closed_ = false;
  connection_.reset();
  auto socket = co_await connect_socket(deadline_ms);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  connection_ = std::make_unique<transport::Connection>(*std::move(socket),
                                                        context_.plan.identities->context(number_));
  co_return co_await connection_->handshake(
      std::max<TimeMs>(1, deadline_ms - read_clock().boot_ms));
}

asio::awaitable<Result<tcp::socket>> SwarmSession::connect_socket(TimeMs deadline_ms) {
  tcp::socket socket(context_.io);
  if (auto prepared = prepare(socket); !prepared) co_return std::unexpected(prepared.error());
  const auto closing = [&socket] {
    boost::system::error_code ignored;
    socket.close(ignored);
  };
  dialling_ = &socket;
  const http::Deadline deadline(context_.io.get_executor(), deadline_ms - read_clock().boot_ms,
                                closing);
  const auto [error] = co_await socket.async_connect(context_.registry, kAwait);
  dialling_ = nullptr;
  if (!error && socket.is_open()) co_return std::move(socket);
  port_was_closed_ = error == asio::error::connection_refused;
  const bool is_late = read_clock().boot_ms >= deadline_ms;
  co_return fail(is_late ? ErrorCode::kTimeout : ErrorCode::kUnavailable,
                 fmt::format("{} cannot be reached: {}", context_.plan.registry,
                             is_late ? "no answer in time" : error.message()));
}

// An address for each session: a registry counts by it, and there are more ports.
Result<void> SwarmSession::prepare(tcp::socket& socket) const {
  boost::system::error_code error;
  socket.open(context_.registry.protocol(), error);
  const auto number = static_cast<uint32_t>(number_ / context_.plan.per_address);
  const int on = 1;
  // The kernel picks the port when it knows the other end: ports may be used more than once.
  if (!error)
    ::setsockopt(socket.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (!error && context_.registry.address().is_loopback())
    socket.bind({asio::ip::address_v4(kAddressFirst + number), 0}, error);
  if (!error && role_ == SwarmRole::kSlow && context_.plan.slow_receive_bytes > 0)
    socket.set_option(
        tcp::socket::receive_buffer_size(static_cast<int>(context_.plan.slow_receive_bytes)),
        error);
  if (!error) return {};
  return fail(ErrorCode::kIo,
              fmt::format("a socket for session {} cannot be made: {}", number_, error.message()));
}

wire::Hello SwarmSession::hello() {
  is_current_ = false;
  wire::Hello hello;
  hello.versions = {wire::kProtocolVersion};
  hello.user_agent = "notp-swarm/" NOTP_VERSION;
  hello.root_version = context_.releases.root()->version;
  wire::Want want;
  want.ledger = context_.plan.ledger;
  if (held_) want.base = wire::Base{held_->ref.version, held_->ref.content_root};
  hello.wants.push_back(std::move(want));
  freshness_.begin_session(hello);
  return hello;
}

// --- agents and mutes

asio::awaitable<void> SwarmSession::converse() {
  session_ = std::make_unique<session::ClientSession>(
      hello(), std::vector<session::PartialArtifact>{}, read_clock());
  const std::function<void()> after_event = [this] { on_events(); };
  const Result<void> ended = co_await transport::pump(*connection_, *session_, wake_, after_event);
  if (context_.is_ending) co_return;
  const bool was_welcome = session_->is_welcomed();
  context_.tally.ended(
      role_, was_welcome,
      ended ? Error{ErrorCode::kUnavailable, dial_.last_error(), {}} : ended.error());
  dial_.on_disconnected(!ended && !was_welcome ? &ended.error() : nullptr, read_clock().boot_ms);
  session_.reset();
}

void SwarmSession::on_events() {
  namespace event = session::client_event;
  for (session::ClientEvent& each : session_->take_events()) {
    if (const auto* welcomed = std::get_if<event::Welcomed>(&each))
      on_welcome(welcomed->welcome);
    else if (auto* complete = std::get_if<event::OfferComplete>(&each))
      on_artifact(complete->offer, std::move(complete->artifact));
    else if (const auto* arrived = std::get_if<event::FreshnessArrived>(&each))
      on_attested(freshness_.take(arrived->update, context_.releases.root()));
    else if (const auto* assigned = std::get_if<event::AssignmentArrived>(&each))
      on_attested(freshness_.take_assignment(assigned->envelope, context_.releases.root()));
    else if (const auto* root = std::get_if<event::RootArrived>(&each)) {
      if (const auto taken = context_.releases.take_root(root->envelope); !taken)
        refuse(taken.error());
    } else if (const auto* asked = std::get_if<event::InventoryWanted>(&each)) {
      // As an agent whose content cannot be read: it wants all of it.
      wire::Want want;
      want.ledger = asked->ledger;
      session_->want({std::move(want)});
    } else if (const auto* closed = std::get_if<event::Closed>(&each)) {
      dial_.on_closed(closed->error, closed->retry_after_ms);
    }
  }
}

void SwarmSession::on_welcome(const wire::Welcome& welcome) {
  for (const wire::Refusal& refusal : welcome.refusals)
    return refuse(
        {refusal.code,
         fmt::format("the registry does not grant {}: {}", refusal.ledger.text(), refusal.message),
         {}});
  dial_.on_welcomed();
  context_.tally.welcomed(role_);
  for (const trust::ReleaseRef& head : welcome.heads) {
    if (head.ledger != context_.plan.ledger) continue;
    is_current_ = true;  // an offer would stand in the place of the head
    if (held_ && head.version < held_->ref.version) return;  // the registry has lost it
  }
  // What is active here.
  if (reported_ > 0) commit(reported_, wire::CommitState::kActive);
}

void SwarmSession::on_artifact(const wire::Offer& offer, Bytes artifact) {
  const SwarmTime now = std::chrono::steady_clock::now();
  const size_t bytes = artifact.size();
  const uint64_t before = held_ ? held_->ref.version : 0;
  auto taken = context_.releases.take(offer, std::move(artifact), held_);
  if (!taken) return refuse(taken.error());
  held_ = *std::move(taken);
  is_current_ = true;
  context_.tally.delivered(role_, before, offer.version, bytes, now);
  const bool is_agent = role_ == SwarmRole::kAgent;
  if (role_ == SwarmRole::kSlow || (is_agent && context_.plan.commits != SwarmCommits::kOnCall))
    report();
}

void SwarmSession::report() {
  const uint64_t version = held_->ref.version;
  const bool both = context_.plan.commits == SwarmCommits::kStoredAndActive;
  if (both) commit(version, wire::CommitState::kStored);
  commit(version, wire::CommitState::kActive);
  const uint64_t before = std::exchange(reported_, version);
  if (role_ != SwarmRole::kAgent) return;
  context_.tally.active(before, version, both ? 2 : 1, std::chrono::steady_clock::now());
}

void SwarmSession::commit_now() {
  if (role_ != SwarmRole::kAgent || !session_ || !session_->is_welcomed() || !held_ ||
      reported_ == held_->ref.version)
    return;
  report();
  wake_.notify();
}

void SwarmSession::commit(uint64_t version, wire::CommitState state) {
  wire::Commit commit;
  commit.ledger = context_.plan.ledger;
  commit.version = version;
  commit.state = state;
  commit.freshness = context_.releases.root()->freshness_keys.empty()
                         ? trust::FreshnessState::kUntracked
                         : trust::FreshnessState::kFresh;
  session_->commit(std::move(commit));
}

void SwarmSession::on_attested(const Result<bool>& verified) {
  if (!verified) return refuse(verified.error());
  context_.tally.attested(*verified);
}

// What an agent would refuse ends the whole run.
void SwarmSession::refuse(const Error& error) {
  context_.tally.failed(error);
  session_->refuse(error);
}

// --- slow ones

asio::awaitable<bool> SwarmSession::be_slow() {
  session_ = std::make_unique<session::ClientSession>(
      hello(), std::vector<session::PartialArtifact>{}, read_clock());
  Result<void> open = co_await greet();
  const bool was_welcome = session_->is_welcomed();
  for (uint64_t nonce = 1; open && !context_.is_ending; ++nonce) {
    timer_.expires_after(std::chrono::milliseconds(context_.plan.slow_ping_ms));
    static_cast<void>(co_await timer_.async_wait(kAwait));
    if (context_.is_ending) break;
    open = co_await connection_->write_within(wire::encode_frame(wire::Ping{nonce}), kSlowWriteMs);
  }
  session_.reset();
  if (open || context_.is_ending) co_return was_welcome;
  context_.tally.ended(role_, was_welcome, open.error());
  dial_.on_disconnected(&open.error(), read_clock().boot_ms);
  co_return was_welcome;
}

// Without the pump, which would go on reading.
asio::awaitable<Result<void>> SwarmSession::greet() {
  Bytes buffer(kReadBytes, '\0');
  while (!context_.is_ending) {
    const Bytes output = session_->take_output(kReadBytes);
    if (!output.empty()) {
      if (auto sent = co_await connection_->write(output); !sent) co_return sent;
      continue;
    }
    if (session_->is_closed())
      co_return fail(ErrorCode::kUnavailable, "the registry ended the session");
    if (is_current_) co_return Result<void>{};
    const auto got = co_await connection_->read_some(buffer.data(), buffer.size());
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) co_return fail(ErrorCode::kUnavailable, "the registry closed the connection");
    session_->receive(ByteView(buffer).substr(0, *got), read_clock());
    on_events();
  }
  co_return Result<void>{};
}

}  // namespace notp::bench
