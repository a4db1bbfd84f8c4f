#include "notp-server/lane/lanes.hpp"

#include <fmt/format.h>

#include <future>
#include <utility>

#include "common/log.hpp"
#include "common/random.hpp"
#include "common/storage/private_files.hpp"
#include "notp-server/lane/intake_rules.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/sqlite_event_store.hpp"
#include "protocol/feed/record_document.hpp"

namespace notp::lane {
namespace {

// The source of what an administrator revokes.
constexpr const char* kByHand = "administrator";
constexpr int64_t kSecondMs = 1'000;

wire::IssuerState state_of(SourceState::State state) {
  switch (state) {
    case SourceState::State::kOk:
      return wire::IssuerState::kOk;
    case SourceState::State::kLate:
      return wire::IssuerState::kLate;
    case SourceState::State::kFailing:
      break;
  }
  return wire::IssuerState::kFailing;
}

wire::LaneSourceRow row_of(const SourceState& source) {
  return {.name = source.name,
          .kind = source.kind,
          .state = state_of(source.state),
          .event_ms = source.last_event_ms,
          .contact_ms = source.last_contact_ms,
          .events = source.events,
          .refused = source.refused,
          .tells = source.tells,
          .message = source.message};
}

IncomingEvent event_of(const wire::RevokeTokens& order, TimeMs now_ms) {
  if (order.id) return {.key = {}, .what = TokenDeleted{.id = *order.id}};
  const wire::MarkTarget& mark = *order.mark;
  const int64_t not_before_s =
      mark.not_before_s != 0 ? mark.not_before_s : now_ms / kSecondMs + kRevokeAheadS;
  return {.key = {},
          .what = Revoked{.kind = mark.kind,
                          .issuer = mark.issuer,
                          .value = mark.value,
                          .not_before_s = not_before_s}};
}

}  // namespace

std::string lane_file_name(const std::string& lane) { return lane + ".db"; }

Result<std::unique_ptr<Lanes>> Lanes::open(const LanesConfig& config, const LanesParts& parts) {
  NOTP_ASSIGN(PrivateKey key, read_lane_key(config.key));
  std::unique_ptr<Lanes> out(new Lanes(std::move(key)));
  const std::filesystem::path folder = parts.data_dir / kLanesFolder;
  NOTP_TRY(make_private_folder(folder));
  SystemRandom random;
  for (const RegistryLaneConfig& lane : config.lanes) {
    auto store = SqliteEventStore::open(folder / lane_file_name(lane.name), random,
                                        {.restored_ms = parts.restored_ms});
    if (!store)
      return std::unexpected(std::move(store).error().in(fmt::format("lane {}", lane.name)));
    auto erased = (*store)->keep_only(lane.rules.attributes);
    if (!erased)
      return std::unexpected(std::move(erased).error().in(fmt::format("lane {}", lane.name)));
    if (*erased > 0)
      log::info("lane_attributes_erased", {{"lane", lane.name}, {"tokens", *erased}});
    out->lanes_[lane.name].host =
        std::make_unique<LaneHost>(lane, LaneHostParts{.trust_domain = parts.trust_domain,
                                                       .key = out->key_,
                                                       .store = *std::move(store),
                                                       .observe_fan_out = parts.observe_fan_out});
  }
  return out;
}

Lanes::~Lanes() { stop(); }

void Lanes::add_source(const std::string& lane, std::unique_ptr<LaneSource> source) {
  lanes_.at(lane).sources.push_back(std::move(source));
}

void Lanes::start(serve::LaneOutlet& outlet) {
  outlet_ = &outlet;
  for (auto& [name, lane] : lanes_) lane.host->start(outlet);
  for (auto& [name, lane] : lanes_)
    for (const auto& source : lane.sources) source->start();
}

void Lanes::stop() {
  {
    const MutexLock lock(mutex_);
    if (std::exchange(stopped_, true)) return;
  }
  for (auto& [name, lane] : lanes_)
    for (const auto& source : lane.sources) source->stop();
  for (auto& [name, lane] : lanes_) lane.host->stop();
}

LaneHost* Lanes::find(const std::string& lane) const {
  const auto found = lanes_.find(lane);
  return found == lanes_.end() ? nullptr : found->second.host.get();
}

Result<LaneHost*> Lanes::get(const std::string& lane) const {
  if (LaneHost* const host = find(lane)) return host;
  return fail(ErrorCode::kNotFound, fmt::format("this registry has no lane '{}'", printable(lane)));
}

// --- requests

wire::LaneRow Lanes::row(const Lane& lane) const {
  const LaneReport report = lane.host->report();
  wire::LaneRow out{.lane = report.name,
                    .instance = report.store.instance,
                    .revision = report.store.head,
                    .tokens = report.store.tokens,
                    .deleted = report.store.deleted,
                    .marks = report.store.marks,
                    .lists = report.store.lists,
                    .bytes = report.bytes,
                    .tokens_max = report.tokens_max,
                    .nodes = report.readers.nodes,
                    .too_slow = report.readers.too_slow,
                    .applied_min = report.readers.applied_min};
  for (const auto& [name, counts] : report.sources) {
    out.events += counts.events;
    out.refused += counts.refused;
  }
  for (const auto& source : lane.sources) out.sources.push_back(row_of(source->state()));
  return out;
}

wire::LanesPage Lanes::page(const std::string& lane) const {
  wire::LanesPage out;
  for (const auto& [name, one] : lanes_)
    if (lane.empty() || lane == name) out.rows.push_back(row(one));
  return out;
}

Result<wire::LaneChange> Lanes::revoke(const wire::RevokeTokens& order, TimeMs now_ms) {
  NOTP_ASSIGN(LaneHost* const host, get(order.lane));
  uint64_t revision = order.revision;
  if (order.id || order.mark) {
    std::promise<Result<IntakeOutcome>> done;
    auto taken = done.get_future();
    host->take(kByHand, {event_of(order, now_ms)},
               [&done](Result<IntakeOutcome> outcome) { done.set_value(std::move(outcome)); });
    NOTP_ASSIGN(const IntakeOutcome outcome, taken.get());
    if (outcome.refused.front()) return std::unexpected(*outcome.refused.front());
    revision = outcome.revision;
  }
  const LaneProgress progress = host->progress(revision);
  return wire::LaneChange{
      .revision = revision, .nodes = progress.nodes, .applied = progress.applied};
}

Result<wire::TokenRow> Lanes::show(const wire::ShowToken& query) const {
  NOTP_ASSIGN(const LaneHost* const host, get(query.lane));
  NOTP_ASSIGN(const auto found, host->find(query.id));
  if (!found) return wire::TokenRow{.state = wire::TokenState::kUnknown};
  const bool is_deleted = found->event.kind == feed::EventKind::kDeleted;
  return wire::TokenRow{
      .state = is_deleted ? wire::TokenState::kDeleted : wire::TokenState::kAlive,
      .revision = found->revision,
      .source = found->source,
      .until_s = found->event.end_s(),
      .attributes = is_deleted
                        ? std::string()
                        : json::serialize(feed::record_document(
                              host->config().rules.attributes.project(found->event.record)))};
}

std::vector<LaneReport> Lanes::reports() const {
  std::vector<LaneReport> out;
  for (const auto& [name, lane] : lanes_) out.push_back(lane.host->report());
  return out;
}

std::vector<std::pair<std::string, SourceState>> Lanes::sources() const {
  std::vector<std::pair<std::string, SourceState>> out;
  for (const auto& [name, lane] : lanes_)
    for (const auto& source : lane.sources) out.emplace_back(name, source->state());
  return out;
}

Result<void> Lanes::copy_to(const std::filesystem::path& folder) const {
  NOTP_TRY(make_private_folder(folder));
  for (const auto& [name, lane] : lanes_)
    NOTP_TRY(lane.host->copy_to(folder / lane_file_name(name)));
  return {};
}

// --- sessions

LaneHost* Lanes::lane_of(uint64_t reader) const {
  const MutexLock lock(mutex_);
  const auto found = readers_.find(reader);
  return found == readers_.end() ? nullptr : found->second;
}

void Lanes::subscribe(serve::LaneReader reader, const session::Identity& identity,
                      wire::LaneSubscribe wanted) {
  LaneHost* const host = find(wanted.lane);
  LaneHost* const before = lane_of(reader.number);
  if (before != nullptr && before != host)
    before->post([number = reader.number](FanOut& out, Now) { out.closed(number); });
  {
    const MutexLock lock(mutex_);
    readers_[reader.number] = host;
  }
  if (host != nullptr)
    return host->post([=, wanted = std::move(wanted)](FanOut& out, Now now) {
      out.subscribe(reader, identity, wanted, now);
    });
  outlet_->deliver(std::make_shared<const std::vector<LaneEffect>>(
      1, lane_effect::Tell{reader,
                           {.lane = wanted.lane,
                            .code = static_cast<uint32_t>(ErrorCode::kNotFound),
                            .message = "this registry has no such lane"}}));
}

void Lanes::fell_behind(serve::LaneReader reader, uint64_t revision) {
  if (LaneHost* const host = lane_of(reader.number))
    host->post([=](FanOut& out, Now now) { out.fell_behind(reader, revision, now); });
}

void Lanes::drained(serve::LaneReader reader) {
  if (LaneHost* const host = lane_of(reader.number))
    host->post([=](FanOut& out, Now now) { out.drained(reader, now); });
}

void Lanes::ask(serve::LaneReader reader, std::vector<feed::TokenId> ids) {
  if (LaneHost* const host = lane_of(reader.number))
    host->post([reader, ids = std::move(ids)](FanOut& out, Now now) { out.ask(reader, ids, now); });
}

void Lanes::applied(serve::LaneReader reader, const wire::LaneApplied& applied) {
  if (LaneHost* const host = lane_of(reader.number))
    host->post([=](FanOut& out, Now) { out.applied(reader, applied); });
}

void Lanes::closed(uint64_t reader) {
  LaneHost* const host = lane_of(reader);
  {
    const MutexLock lock(mutex_);
    readers_.erase(reader);
  }
  if (host != nullptr) host->post([reader](FanOut& out, Now) { out.closed(reader); });
}

}  // namespace notp::lane
