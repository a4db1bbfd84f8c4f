#include "tools/notp/registry_client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>

#include "common/limits.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/pump.hpp"

namespace notp::cli {
namespace {

namespace asio = boost::asio;

constexpr TimeMs kConnectMs = 10'000;
constexpr TimeMs kAnswerMs = 60'000;  // the registry may have to compute a delta first
// A statement for a new subscription is issued within kFreshnessSoonMs.
constexpr TimeMs kStatementMs = limits::kFreshnessSoonMs + 2'000;
constexpr auto kTick = std::chrono::milliseconds(100);
// A slower uplink cannot complete a publish.
constexpr uint64_t kUploadBytesPerMs = 16;

// The identity that the settings expect; without one, any identity with the role of a registry.
Result<session::IdentityPattern> expected_registry(const Settings& settings,
                                                   const std::string& trust_domain) {
  const std::string& text = settings.registry_identity;
  auto pattern = session::IdentityPattern::parse(text.empty() ? "registry/*" : text, trust_domain);
  if (!pattern) return std::unexpected(std::move(pattern).error().in("registry_identity"));
  return pattern;
}

Result<std::shared_ptr<const transport::TlsContext>> load_tls(
    const Settings& settings, const std::string& trust_domain,
    const session::IdentityPattern& registry) {
  const auto required = [](const std::filesystem::path& path, std::string_view what,
                           std::string_view hint) -> Result<void> {
    if (!path.empty()) return {};
    return std::unexpected(
        Error{ErrorCode::kUsage, fmt::format("no {} is configured", what), {}}.with(
            "hint", std::string(hint)));
  };
  NOTP_TRY(
      required(settings.certificate, "certificate",
               "give --cert FILE, NOTP_CERT, or 'tls: {certificate: …}' in the configuration"));
  NOTP_TRY(required(settings.key, "private key",
                    "give --key FILE, NOTP_KEY, or 'tls: {key: …}' in the configuration"));
  NOTP_TRY(required(settings.ca, "certificate authority",
                    "give --ca FILE, NOTP_CA, or 'tls: {ca: …}' in the configuration"));
  transport::TlsFiles files{settings.certificate, settings.key, settings.ca, trust_domain};
  // The id that the user names as the registry's has that role for this program.
  const bool is_built_in = files.identities.may_give(session::Role::kRegistry, registry,
                                                     trust_domain, /*has_built_in=*/true);
  if (!is_built_in)
    NOTP_TRY(files.identities.add(registry.text(), session::role_name(session::Role::kRegistry),
                                  trust_domain));
  return transport::TlsContext::load(files, transport::Side::kClient);
}

wire::Hello make_hello(uint64_t root_version, const std::vector<model::LedgerId>& ledgers) {
  wire::Hello hello;
  hello.versions = {wire::kProtocolVersion};
  hello.user_agent = "notp/" NOTP_VERSION;
  hello.root_version = root_version;
  for (const model::LedgerId& ledger : ledgers) {
    wire::Want want;
    want.ledger = ledger;
    want.heads_only = true;
    hello.wants.push_back(std::move(want));
  }
  return hello;
}

std::unexpected<Error> cancelled() {
  return fail(ErrorCode::kCancelled, "the answer is not wanted any more");
}

// A registry sends the missing roots right after its greeting.
uint64_t roots_to_come(const wire::Welcome& welcome, uint64_t root_version) {
  if (root_version == 0 || welcome.root_version <= root_version) return 0;
  return std::min<uint64_t>(welcome.root_version - root_version, limits::kRootStepsMax);
}

}  // namespace

struct RegistryClient::State {
  asio::io_context io{1};
  std::string registry;
  std::unique_ptr<transport::Connection> connection;
  std::unique_ptr<session::ClientSession> session;
  std::unique_ptr<transport::Wake> wake;

  std::optional<wire::Welcome> welcome;
  std::vector<Bytes> roots;
  std::optional<uint32_t> stream;  // of the transfer in progress
  uint64_t stream_bytes = 0;
  std::optional<Fetched> fetched;
  std::optional<wire::PublishResult> published;
  std::optional<wire::Response> response;
  std::optional<ClockReading> clock;
  std::optional<Error> closed;
  std::optional<Result<void>> pumped;  // the pump has ended
  uint64_t next_request = 1;
  Meanwhile meanwhile;  // empty: there is nothing to do

  void take_events();
  void start(wire::Hello hello);
  Error ending() const;
  // Runs until `done`, the end of the session, or `timeout_ms` without an increase of `progress`.
  Result<void> run_until(const std::function<bool()>& done, TimeMs timeout_ms,
                         const std::function<uint64_t()>& progress);
  void finish();
};

void RegistryClient::State::take_events() {
  for (session::ClientEvent& event : session->take_events()) {
    if (auto* welcomed = std::get_if<session::client_event::Welcomed>(&event))
      welcome = std::move(welcomed->welcome);
    else if (auto* started = std::get_if<session::client_event::OfferStarted>(&event))
      stream = started->offer.stream, stream_bytes = started->offer.size;
    else if (auto* complete = std::get_if<session::client_event::OfferComplete>(&event))
      fetched = Fetched{std::move(complete->offer), std::move(complete->artifact)};
    else if (auto* result = std::get_if<session::client_event::Published>(&event))
      published = std::move(result->result);
    else if (auto* answered = std::get_if<session::client_event::Answered>(&event))
      response = std::move(answered->response);
    else if (auto* fresh = std::get_if<session::client_event::FreshnessArrived>(&event))
      clock = ClockReading{fresh->update.issued_ms, read_clock().wall_ms};
    else if (auto* root = std::get_if<session::client_event::RootArrived>(&event))
      roots.push_back(std::move(root->envelope));
    else if (auto* end = std::get_if<session::client_event::Closed>(&event))
      closed = std::move(end->error);
  }
}

void RegistryClient::State::start(wire::Hello hello) {
  wake = std::make_unique<transport::Wake>();
  session = std::make_unique<session::ClientSession>(
      std::move(hello), std::vector<session::PartialArtifact>{}, read_clock());
  asio::co_spawn(
      io,
      [](State& self) -> asio::awaitable<void> {
        const std::function<void()> after_event = [&self] { self.take_events(); };
        self.pumped =
            co_await transport::pump(*self.connection, *self.session, *self.wake, after_event);
      }(*this),
      [this](std::exception_ptr exception) {
        if (exception) pumped = fail(ErrorCode::kInternal, "the session ended by an exception");
      });
}

Error RegistryClient::State::ending() const {
  // The pump knows of a late TLS refusal, the session of the registry's error message.
  if (pumped && !*pumped) return pumped->error();
  if (closed) return *closed;
  return {ErrorCode::kUnavailable, fmt::format("{} ended the session", registry), {}};
}

Result<void> RegistryClient::State::run_until(const std::function<bool()>& done, TimeMs timeout_ms,
                                              const std::function<uint64_t()>& progress) {
  uint64_t reached = progress();
  TimeMs deadline_ms = read_clock().boot_ms + timeout_ms;
  while (!done()) {
    if (pumped) return std::unexpected(ending());
    if (io.stopped()) io.restart();
    io.run_one_for(kTick);
    if (meanwhile && !meanwhile()) return cancelled();
    const TimeMs now_ms = read_clock().boot_ms;
    if (const uint64_t at = progress(); at > reached) {
      reached = at;
      deadline_ms = now_ms + timeout_ms;
    }
    if (now_ms >= deadline_ms)
      return fail(ErrorCode::kTimeout,
                  fmt::format("{} has not answered within {} s", registry, timeout_ms / 1000));
  }
  return {};
}

void RegistryClient::State::finish() {
  if (!session || pumped) return;
  meanwhile = {};
  const auto no_progress = [] { return uint64_t{0}; };
  const auto over = [this] { return pumped.has_value(); };
  session->say_bye("done");
  wake->notify();
  if (run_until(over, limits::kCloseMs, no_progress)) return;
  connection->abort();
  static_cast<void>(run_until(over, limits::kCloseMs, no_progress));
}

RegistryClient::RegistryClient(std::unique_ptr<State> state) : state_(std::move(state)) {}

RegistryClient::~RegistryClient() { state_->finish(); }

Result<std::unique_ptr<RegistryClient>> RegistryClient::connect(
    const Settings& settings, std::string trust_domain, uint64_t root_version,
    const std::vector<model::LedgerId>& ledgers, Meanwhile meanwhile) {
  if (settings.registry.empty())
    return std::unexpected(Error{ErrorCode::kUsage, "no registry is configured", {}}.with(
        "hint",
        "give --registry host:port, NOTP_REGISTRY, or 'registry:' in a configuration; 'notp "
        "config' shows what is set, and where"));
  NOTP_ASSIGN(const session::IdentityPattern expected, expected_registry(settings, trust_domain));
  NOTP_ASSIGN(auto tls, load_tls(settings, trust_domain, expected));
  NOTP_ASSIGN(const HostPort target, HostPort::parse(settings.registry));
  NOTP_ASSIGN(const http::ProxyRoute route,
              http::choose_proxy(settings.proxy, settings.environment, target));
  auto state = std::make_unique<State>();
  state->registry = settings.registry;
  state->meanwhile = std::move(meanwhile);
  Result<std::unique_ptr<transport::Connection>> connected =
      fail(ErrorCode::kInternal, "the connection was not tried");
  asio::co_spawn(
      state->io,
      [](Result<std::unique_ptr<transport::Connection>>& out, std::string address,
         std::shared_ptr<const transport::TlsContext> context,
         std::optional<http::ProxyServer> proxy) -> asio::awaitable<void> {
        out = co_await notp::transport::connect(std::move(address), std::move(context), kConnectMs,
                                                std::move(proxy));
      }(connected, settings.registry, std::move(tls), route.proxy),
      [&connected](std::exception_ptr exception) {
        if (exception) connected = fail(ErrorCode::kInternal, "connecting ended by an exception");
      });
  while (!state->io.stopped()) {
    state->io.run_one_for(kTick);
    if (state->meanwhile && !state->meanwhile()) return cancelled();
  }
  if (!connected) return std::unexpected(std::move(connected).error());
  if (const session::Identity& peer = (*connected)->peer_identity(); !expected.covers(peer))
    return fail(ErrorCode::kIdentity,
                fmt::format("{} answered as {}, and registry_identity expects {}",
                            settings.registry, peer.short_text(), expected.text()));
  state->connection = *std::move(connected);
  state->start(make_hello(root_version, ledgers));
  std::unique_ptr<RegistryClient> client(new RegistryClient(std::move(state)));
  State& self = *client->state_;
  const auto greeted = [&] {
    return self.welcome && self.roots.size() >= roots_to_come(*self.welcome, root_version);
  };
  NOTP_TRY(self.run_until(greeted, kAnswerMs, [&]() -> uint64_t { return self.roots.size(); }));
  return client;
}

Result<std::optional<trust::ReleaseRef>> RegistryClient::head(const model::LedgerId& ledger) const {
  const wire::Welcome& welcome = *state_->welcome;
  for (const wire::Refusal& refusal : welcome.refusals)
    if (refusal.ledger == ledger) return fail(refusal.code, refusal.message);
  for (const trust::ReleaseRef& head : welcome.heads)
    if (head.ledger == ledger)
      return head.version == 0 ? std::nullopt : std::optional<trust::ReleaseRef>(head);
  return fail(ErrorCode::kState, fmt::format("{} did not say what the head of {} is",
                                             state_->registry, ledger.text()));
}

Result<RegistryClient::Fetched> RegistryClient::fetch(wire::Want want, Progress& progress) {
  State& self = *state_;
  self.fetched.reset();
  self.stream.reset();
  const model::LedgerId ledger = want.ledger;
  const uint64_t version = want.version;
  self.session->want({std::move(want)});
  self.wake->notify();
  NOTP_TRY(self.run_until([&] { return self.fetched.has_value(); }, kAnswerMs,
                          [&]() -> uint64_t {
                            if (!self.stream) return 0;
                            const uint64_t received = self.session->received(*self.stream).size();
                            progress.update(received, self.stream_bytes);
                            return received;
                          }));
  Fetched fetched = *std::exchange(self.fetched, std::nullopt);
  if (fetched.offer.ledger != ledger || fetched.offer.version != version)
    return fail(ErrorCode::kState, fmt::format("{} sent {} v{} where {} v{} was asked for",
                                               self.registry, fetched.offer.ledger.text(),
                                               fetched.offer.version, ledger.text(), version));
  return fetched;
}

Result<wire::PublishResult> RegistryClient::publish(wire::Publish publish, model::Content artifact,
                                                    Progress& progress) {
  State& self = *state_;
  self.published.reset();
  publish.request = self.next_request++;
  const uint64_t request = publish.request, size = artifact->size();
  const uint64_t sent_before = self.connection->bytes_sent();
  self.session->publish(std::move(publish), std::move(artifact));
  self.wake->notify();
  const auto timeout_ms = limits::kPublishTimeoutMs + static_cast<TimeMs>(size / kUploadBytesPerMs);
  NOTP_TRY(self.run_until([&] { return self.published.has_value(); }, timeout_ms,
                          [&]() -> uint64_t {
                            progress.update(
                                std::min(size, self.connection->bytes_sent() - sent_before), size);
                            return 0;
                          }));
  if (self.published->request != request)
    return fail(ErrorCode::kState,
                fmt::format("{} answered a publish that was not made", self.registry));
  return *std::move(self.published);
}

Result<wire::Response> RegistryClient::exchange(wire::Request request) {
  State& self = *state_;
  self.response.reset();
  request.request = self.next_request++;
  self.session->request(request);
  self.wake->notify();
  NOTP_TRY(self.run_until([&] { return self.response.has_value(); }, kAnswerMs,
                          [] { return uint64_t{0}; }));
  if (self.response->request != request.request)
    return fail(ErrorCode::kState,
                fmt::format("{} answered a question that was not asked", self.registry));
  return *std::move(self.response);
}

Result<std::optional<RegistryClient::ClockReading>> RegistryClient::read_clock_of_registry(
    const trust::ReleaseRef& head) {
  State& self = *state_;
  self.clock.reset();
  // The head as base: nothing of the release itself is sent.
  wire::Want want;
  want.ledger = head.ledger;
  if (head.version != 0) want.base = wire::Base{head.version, head.content_root};
  self.session->want({std::move(want)});
  self.wake->notify();
  const auto arrived = self.run_until([&] { return self.clock.has_value(); }, kStatementMs,
                                      [] { return uint64_t{0}; });
  if (!arrived && arrived.error().code != ErrorCode::kTimeout)
    return std::unexpected(arrived.error());
  return self.clock;
}

void RegistryClient::set_meanwhile(Meanwhile meanwhile) {
  state_->meanwhile = std::move(meanwhile);
}

bool RegistryClient::is_open() const { return !state_->pumped; }

const wire::Welcome& RegistryClient::welcome() const { return *state_->welcome; }
const std::vector<Bytes>& RegistryClient::roots() const { return state_->roots; }

uint64_t RegistryClient::bytes_sent() const { return state_->connection->bytes_sent(); }
uint64_t RegistryClient::bytes_received() const { return state_->connection->bytes_received(); }

}  // namespace notp::cli
