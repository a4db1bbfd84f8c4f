#include "notp-server/lane_inputs/status_list_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/http/client.hpp"
#include "common/mutex.hpp"
#include "common/oauth/client_auth.hpp"
#include "notp-server/lane_inputs/kind_keys.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/pull_log.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "notp-server/lane_inputs/source_thread.hpp"
#include "notp-server/lane_inputs/status_list_core.hpp"

namespace notp::lane_inputs {
namespace {

namespace asio = boost::asio;

constexpr unsigned kOk = 200;
constexpr TimeMs kStatusGraceMs = 900'000;  // unless it is configured
constexpr std::string_view kMediaType = "application/statuslist+jwt";
constexpr TimeMs kSecondMs = 1'000;

struct StatusListTerms final : KindTerms {
  std::vector<std::string> issuers() const override { return {issuer}; }

  std::string issuer;
  std::vector<std::string> uris;
  bool insecure_loopback = false;
  std::filesystem::path ca;
  std::vector<Hash> pins;
  TimeMs grace_ms = 0;
};

Result<std::shared_ptr<const KindTerms>> load(const config::Section& section, std::string_view) {
  NOTP_TRY(check_keys(section, {"issuer", "uris", "grace_s", "ca", "pins", "insecure_loopback"},
                      {"issuer", "uris"}));
  auto out = std::make_shared<StatusListTerms>();
  out->issuer = section.text("issuer");
  out->uris = section.texts("uris");
  out->insecure_loopback = section.has("insecure_loopback") && section.flag("insecure_loopback");
  out->ca = section.text_or_empty("ca");
  out->grace_ms = section.has("grace_s") ? section.integer("grace_s") * kSecondMs : kStatusGraceMs;
  for (const std::string& pin : section.texts("pins")) {
    NOTP_ASSIGN(const Hash hash, http::parse_pin(pin));
    out->pins.push_back(hash);
  }
  for (const std::string& uri : out->uris)
    if (auto good = oauth::check_url(uri, {out->issuer, out->insecure_loopback}); !good)
      return fail(ErrorCode::kConfig, std::move(good).error().message);
  std::ranges::sort(out->uris);
  if (const auto twice = std::ranges::adjacent_find(out->uris); twice != out->uris.end())
    return fail(ErrorCode::kConfig, fmt::format("uris names {} twice", printable(*twice)));
  return out;
}

class StatusListSource final : public lane::LaneSource {
 public:
  StatusListSource(const SourceConfig& config, const SourceParts& parts, http::Client client)
      : config_(config),
        terms_(static_cast<const StatusListTerms&>(*config_.terms)),
        parts_(parts),
        client_(std::move(client)),
        log_(parts.lane, config.name),
        core_(terms_.uris, terms_.grace_ms, random_, read_clock()) {}
  ~StatusListSource() override { thread_.stop(); }

  void start() override {
    thread_.start([this] { return run(); });
  }
  void stop() override { thread_.stop(); }
  lane::SourceState state() const override;

 private:
  asio::awaitable<void> run();
  asio::awaitable<Result<StatusList>> fetch(std::string uri);
  asio::awaitable<void> hand_over(size_t list, lane::ListFetched fetched);
  void note_state();

  const SourceConfig config_;
  const StatusListTerms& terms_;
  const SourceParts parts_;
  const http::Client client_;
  SystemRandom random_;
  PullLog log_;  // of the thread

  mutable Mutex mutex_;
  StatusListCore core_ NOTP_GUARDED_BY(mutex_);
  lane::SourceState counts_ NOTP_GUARDED_BY(mutex_);
  SourceThread thread_;
};

lane::SourceState StatusListSource::state() const {
  const MutexLock lock(mutex_);
  const Now now = read_clock();
  lane::SourceState out = counts_;
  out.name = config_.name;
  out.kind = config_.kind;
  out.state = core_.state(now);
  out.message = core_.message(now);
  out.tells = fmt::format(
      "the status of tokens that name one of {} configured lists, as old as a list's ttl; not: "
      "tokens that name another list or none",
      terms_.uris.size());
  return out;
}

asio::awaitable<void> StatusListSource::run() {
  Wakeup wakeup(thread_.context());
  while (true) {
    std::optional<size_t> due;
    TimeMs next_ms = 0;
    {
      const MutexLock lock(mutex_);
      due = core_.on_deadline(read_clock());
      next_ms = core_.next_deadline();
    }
    if (!due) {
      co_await wakeup.wait_until(next_ms);
      note_state();
      continue;
    }
    auto fetched = co_await fetch(terms_.uris[*due]);
    if (fetched)
      log_.succeeded();
    else
      log_.failed(fetched.error());
    std::optional<lane::ListFetched> event;
    {
      const MutexLock lock(mutex_);
      const Now now = read_clock();
      if (fetched) counts_.last_contact_ms = now.wall_ms;
      if (!fetched && !rule_of(fetched.error()).empty()) ++counts_.refused;
      event = core_.fetched(*due, std::move(fetched), now);
    }
    if (event) co_await hand_over(*due, *std::move(event));
    note_state();
  }
}

asio::awaitable<void> StatusListSource::hand_over(size_t list, lane::ListFetched fetched) {
  std::vector<lane::IncomingEvent> events;
  events.push_back({.key = {}, .what = std::move(fetched)});
  auto outcome = co_await thread_.take(parts_.intake, config_.name, std::move(events));
  Result<void> taken;
  if (!outcome)
    taken = std::unexpected(std::move(outcome).error());
  else if (outcome->refused.at(0))
    taken = std::unexpected(*std::move(outcome->refused[0]));
  const MutexLock lock(mutex_);
  const Now now = read_clock();
  if (taken) {
    ++counts_.events;
    counts_.last_event_ms = now.wall_ms;
  } else {
    ++counts_.refused;
  }
  core_.taken(list, taken, now);
}

void StatusListSource::note_state() {
  const lane::SourceState now = state();
  log_.state_is(now.state, now.message);
}

asio::awaitable<Result<StatusList>> StatusListSource::fetch(std::string uri) {
  const auto keys = parts_.issuer_keys(terms_.issuer);
  if (!keys)
    co_return fail(ErrorCode::kUnavailable,
                   fmt::format("no keys of {} are there yet; is it one of sources.issuers?",
                               printable(terms_.issuer)));
  http::Call call{.url = uri,
                  .headers = {{"Accept", std::string(kMediaType)}},
                  .deadline_ms = kStatusFetchMs,
                  .answer_bytes_max = kStatusTokenBytesMax};
  auto response = co_await client_.call(std::move(call));
  if (!response) {
    if (response.error().code == ErrorCode::kLimit)
      co_return refuse("status-list.too-large", std::move(response).error().message);
    co_return std::unexpected(std::move(response).error());
  }
  if (response->status != kOk)
    co_return fail(
        ErrorCode::kUnavailable,
        fmt::format("the issuer answers {}; redirects are not followed", response->status));
  const std::string_view type = response->content_type;
  if (type.substr(0, type.find(';')) != kMediaType)
    co_return refuse(
        "status-list.content-type",
        fmt::format("the issuer sends {}, not {}", printable(response->content_type), kMediaType));
  auto list = read_status_list(
      response->content(), *keys,
      {.uri = std::move(uri), .issuer = terms_.issuer, .now_ms = read_clock().wall_ms});
  if (!list && rule_of(list.error()) == "status-list.key" && parts_.unknown_key)
    parts_.unknown_key(terms_.issuer, unknown_kid_of(list.error()));
  co_return list;
}

Result<std::unique_ptr<lane::LaneSource>> make(const SourceConfig& config,
                                               const SourceParts& parts) {
  const auto& terms = static_cast<const StatusListTerms&>(*config.terms);
  NOTP_ASSIGN(http::Client client, http::Client::open({.tls = {.authorities = terms.ca,
                                                               .certificate = {},
                                                               .private_key = {},
                                                               .pins = terms.pins},
                                                       .proxy = {},
                                                       .environment = parts.environment}));
  return std::make_unique<StatusListSource>(config, parts, std::move(client));
}

}  // namespace

SourceKind status_list_kind() { return {.name = "status_list", .load = load, .make = make}; }

}  // namespace notp::lane_inputs
