#include "notp-server/lane/lane_host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/failpoint.hpp"
#include "common/log.hpp"
#include "common/random.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/sqlite_event_store.hpp"

namespace notp::lane {

namespace {

constexpr TimeMs kReportMs = 1'000;
constexpr TimeMs kSecondMs = 1'000;

size_t bytes_of(const IncomingEvent& event) {
  constexpr size_t kFrame = 128, kAttributes = 512;
  if (const auto* list = std::get_if<ListFetched>(&event.what)) return kFrame + list->zlib.size();
  return std::holds_alternative<TokenAdded>(event.what) ? kFrame + kAttributes : kFrame;
}

Error stops() { return {ErrorCode::kUnavailable, "the registry stops", {}}; }

}  // namespace

LaneHost::LaneHost(const RegistryLaneConfig& config, LaneHostParts parts)
    : config_(config),
      parts_(std::move(parts)),
      rules_(config.rules),
      fan_out_({.trust_domain = parts_.trust_domain, .lane = config.name, .terms = config.terms},
               config.grants, *parts_.store, parts_.key) {
  publish_report(read_clock());
}

LaneHost::~LaneHost() { stop(); }

void LaneHost::start(serve::LaneOutlet& outlet) {
  outlet_ = &outlet;
  thread_ = std::thread([this] { run(); });
}

void LaneHost::stop() {
  {
    const MutexLock lock(mutex_);
    waiting_.stopping = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// --- from other threads

void LaneHost::take(const std::string& source, std::vector<IncomingEvent> events, Done done) {
  const auto refuse = [&](ErrorCode code, std::string why) {
    done(std::unexpected(Error{code, std::move(why), {}}));
  };
  if (events.size() > kIntakeEventsMax)
    return refuse(ErrorCode::kLimit, fmt::format("{} events at once are more than {}",
                                                 events.size(), kIntakeEventsMax));
  size_t bytes = 0;
  for (const IncomingEvent& event : events) bytes += bytes_of(event);
  const TimeMs now_ms = read_clock().boot_ms;
  {
    MutexLock lock(mutex_);
    const bool is_full = waiting_.events + events.size() > kIntakeWaitingEventsMax ||
                         waiting_.bytes + bytes > kIntakeWaitingBytesMax;
    double& paid_ms = waiting_.paid_ms[source];
    // A burst of what one call may take, then the rate.
    const auto cost_ms = [&](size_t count) {
      return static_cast<double>(count) * kSecondMs /
             static_cast<double>(std::max<uint64_t>(config_.source_rate, 1));
    };
    const auto now = static_cast<double>(now_ms);
    const double burst_ms = std::max<double>(cost_ms(kIntakeEventsMax), kSecondMs);
    const bool is_too_fast = paid_ms + cost_ms(events.size()) > now + burst_ms;
    if (waiting_.stopping || is_full || is_too_fast) {
      const bool is_stopping = waiting_.stopping;
      lock.unlock();
      if (is_stopping) return done(std::unexpected(stops()));
      return refuse(ErrorCode::kOverloaded,
                    is_full ? std::string("too many events wait for the disk")
                            : fmt::format("source {} sends more than {} events a second", source,
                                          config_.source_rate));
    }
    paid_ms = std::max(paid_ms, now) + cost_ms(events.size());
    waiting_.events += events.size();
    waiting_.bytes += bytes;
    waiting_.taken.push_back({source, std::move(events), std::move(done), now_ms});
  }
  wake_.notify_all();
}

void LaneHost::post(std::function<void(FanOut&, Now)> event) {
  {
    const MutexLock lock(mutex_);
    if (waiting_.stopping) return;
    waiting_.posted.push_back(std::move(event));
  }
  wake_.notify_all();
}

template <typename T>
T LaneHost::on_thread(std::function<T(FanOut&)> ask, T otherwise) const {
  // Broken by a host that stops before its turn.
  auto promise = std::make_shared<std::promise<T>>();
  std::future<T> answer = promise->get_future();
  {
    const MutexLock lock(mutex_);
    if (waiting_.stopping) return otherwise;
    waiting_.posted.emplace_back([promise = std::move(promise), ask = std::move(ask)](
                                     FanOut& fan_out, Now) { promise->set_value(ask(fan_out)); });
  }
  wake_.notify_all();
  try {
    return answer.get();
  } catch (const std::future_error&) {
    return otherwise;
  }
}

Result<LivingPage> LaneHost::living(const std::string& source, const feed::TokenId& after) const {
  using Page = Result<LivingPage>;
  return on_thread<Page>(
      [this, source, after](FanOut&) -> Page {
        NOTP_ASSIGN(const auto page,
                    parts_.store->range(feed::EventKey{feed::EventKind::kToken, after},
                                        kLivingPageMax, SIZE_MAX));
        LivingPage out;
        for (const Row& row : page.rows) {
          if (row.event.kind != feed::EventKind::kToken) return out;
          if (row.source == source)
            out.tokens.push_back({row.event.id, row.event.record.exp_s, row.at_s});
        }
        if (page.more) out.next = page.rows.back().event.id;
        return out;
      },
      std::unexpected(stops()));
}

Result<std::optional<Row>> LaneHost::find(const feed::TokenId& id) const {
  using Found = Result<std::optional<Row>>;
  return on_thread<Found>(
      [this, id](FanOut&) -> Found {
        NOTP_ASSIGN(auto found, parts_.store->find({feed::EventKind::kDeleted, id}));
        return found ? Found(std::move(found)) : parts_.store->find({feed::EventKind::kToken, id});
      },
      std::unexpected(stops()));
}

LaneProgress LaneHost::progress(uint64_t revision) const {
  return on_thread<LaneProgress>(
      [revision](FanOut& fan_out) {
        return LaneProgress{.revision = revision,
                            .nodes = fan_out.counts().nodes,
                            .applied = fan_out.applied_at(revision)};
      },
      {});
}

// The lane's thread reads it part by part, and this one makes a durable file of it.
Result<void> LaneHost::copy_to(const std::filesystem::path& file) {
  auto done = std::make_shared<std::promise<Result<std::unique_ptr<StoreCopy>>>>();
  auto made = done->get_future();
  post([this, file, done = std::move(done)](FanOut&, Now) {
    auto copy = parts_.store->begin_copy(file);
    if (!copy) return done->set_value(std::unexpected(std::move(copy).error()));
    copies_.push_back({*std::move(copy), done});
  });
  try {
    NOTP_ASSIGN(const auto copy, made.get());
    return copy->finish();
  } catch (const std::future_error&) {  // the host has stopped
    return std::unexpected(stops());
  }
}

LaneReport LaneHost::report() const {
  const MutexLock lock(mutex_);
  return report_;
}

// --- the thread

void LaneHost::run() {
  while (true) {
    Work work = wait();
    for (const auto& event : work.posted) event(fan_out_, read_clock());
    if (!work.taken.empty()) commit(std::move(work.taken), read_clock());
    const Now now = read_clock();
    if (now.boot_ms >= times_.sweep_ms) sweep(now);
    if (now.boot_ms >= fan_out_.next_deadline()) fan_out_.on_deadline(now);
    // One page between two commits: revocations do not wait for snapshots.
    if (fan_out_.has_work()) fan_out_.work(now);
    if (!copies_.empty()) copy_part();
    if (const auto ahead = fan_out_.take_ahead()) renew(*ahead, now);
    if (auto reads = fan_out_.take_reads())
      note_fault(*reads ? std::nullopt : std::optional(std::move(*reads).error()), "read");
    deliver();
    if (now.boot_ms >= times_.report_ms) publish_report(now);
    if (!work.stopping) continue;
    copies_.clear();
    return;
  }
}

TimeMs LaneHost::next_deadline() const {
  return std::min({fan_out_.next_deadline(), times_.sweep_ms, times_.report_ms});
}

LaneHost::Work LaneHost::wait() {
  const TimeMs deadline_ms = next_deadline();
  MutexLock lock(mutex_);
  while (waiting_.taken.empty() && waiting_.posted.empty() && !waiting_.stopping &&
         !fan_out_.has_work() && copies_.empty()) {
    const TimeMs left_ms = deadline_ms - read_clock().boot_ms;
    if (left_ms <= 0) break;
    wake_.wait_for(lock, std::chrono::milliseconds(left_ms));
  }
  Work work;
  // At the end all of it: some of it is waited for.
  const size_t most = waiting_.stopping ? waiting_.posted.size() : kPostedAtOnce;
  while (!waiting_.posted.empty() && work.posted.size() < most) {
    work.posted.push_back(std::move(waiting_.posted.front()));
    waiting_.posted.pop_front();
  }
  size_t events = 0;
  while (!waiting_.taken.empty() && events < kIntakeEventsMax) {
    Taken& next = waiting_.taken.front();
    events += next.events.size();
    waiting_.events -= next.events.size();
    for (const IncomingEvent& event : next.events) waiting_.bytes -= bytes_of(event);
    work.taken.push_back(std::move(next));
    waiting_.taken.pop_front();
  }
  work.stopping = waiting_.stopping && waiting_.taken.empty();
  return work;
}

// What waits is one transaction.
void LaneHost::commit(std::vector<Taken> taken, Now now) {
  std::vector<Row> rows;
  EventStore& store = *parts_.store;
  auto written = write(taken, now.wall_ms / kSecondMs, rows);
  failpoint("registry_lane.before_commit");
  if (written) {
    if (const auto committed = store.commit(); !committed)
      written = std::unexpected(committed.error());
  }
  failpoint("registry_lane.after_commit");
  if (!written) {
    store.roll_back();
    note_fault(written.error(), "write");
    const Error why{ErrorCode::kUnavailable, "the registry cannot write its lane", {}};
    for (const Taken& one : taken) one.done(std::unexpected(why));
    return;
  }
  note_fault({}, "write");
  fan_out_.committed(std::move(rows), now);
  deliver();
  const TimeMs done_ms = read_clock().boot_ms;
  for (size_t i = 0; i < taken.size(); ++i) {
    if (parts_.observe_fan_out)
      parts_.observe_fan_out(static_cast<double>(done_ms - taken[i].at_ms) / kSecondMs);
    SourceCounts& counts = counts_[taken[i].source];
    counts.events += taken[i].events.size();
    counts.refused += static_cast<uint64_t>(std::ranges::count_if(
        (*written)[i].refused, [](const auto& refused) { return refused.has_value(); }));
    (*written)[i].revision = store.state().head;
    taken[i].done(std::move((*written)[i]));
  }
}

Result<std::vector<IntakeOutcome>> LaneHost::write(const std::vector<Taken>& taken, int64_t now_s,
                                                   std::vector<Row>& rows) {
  EventStore& store = *parts_.store;
  NOTP_TRY(store.begin());
  std::vector<IntakeOutcome> outcomes;
  for (const Taken& one : taken) {
    IntakeOutcome& outcome = outcomes.emplace_back();
    for (const IncomingEvent& event : one.events) {
      NOTP_ASSIGN(Ruling ruling, rules_.apply(one.source, event, now_s, store));
      outcome.refused.push_back(std::move(ruling.refused));
      if (ruling.row) rows.push_back(*std::move(ruling.row));
    }
  }
  return outcomes;
}

void LaneHost::sweep(Now now) {
  EventStore& store = *parts_.store;
  const int64_t until_s = times_.sweep_clock.until_s(now);
  const auto swept = [&]() -> Result<size_t> {
    NOTP_TRY(store.begin());
    NOTP_ASSIGN(const size_t removed, store.remove_ended(until_s, kSweepRowsMax));
    NOTP_TRY(store.commit());
    return removed;
  }();
  const bool has_more = swept && *swept == kSweepRowsMax;
  times_.sweep_ms = has_more ? now.boot_ms : now.boot_ms + kSweepMs;
  if (swept) return note_fault({}, "write");
  store.roll_back();
  note_fault(swept.error(), "write");
}

void LaneHost::copy_part() {
  Copying& copying = copies_.front();
  const auto ended = copying.copy->step();
  if (ended && !*ended) return;
  if (ended)
    copying.done->set_value(std::move(copying.copy));
  else
    copying.done->set_value(std::unexpected(ended.error()));
  copies_.pop_front();
}

void LaneHost::deliver() {
  auto effects = fan_out_.take_effects();
  if (effects.empty() || outlet_ == nullptr) return;
  outlet_->deliver(std::make_shared<const std::vector<LaneEffect>>(std::move(effects)));
}

// Logged when it begins and when it ends. Writes that fail say nothing of reads, nor the reverse.
void LaneHost::note_fault(std::optional<Error> fault, const std::string& doing) {
  if (!fault) {
    if (faults_.erase(doing) > 0)
      log::info("lane_store_works", {{"lane", config_.name}, {"doing", doing}});
    return;
  }
  if (!faults_.contains(doing))
    log::write(log::Level::kError, "lane_store_failing", *fault,
               {{"lane", config_.name}, {"doing", doing}});
  faults_[doing] = std::move(fault)->message;
}

// What nodes have of the old name does not count any more, whatever they have.
void LaneHost::renew(const FanOut::Ahead& ahead, Now now) {
  if (now.boot_ms < times_.renew_ms) return;
  SystemRandom random;
  const uint64_t head = parts_.store->state().head;
  if (const auto renewed = parts_.store->set_instance(new_instance(random)); !renewed)
    return note_fault(renewed.error(), "write");
  times_.renew_ms = now.boot_ms + kRenewEveryMs;
  log::write(log::Level::kError, "lane_rolled_back",
             {{"lane", config_.name},
              {"identity", ahead.node},
              {"node_revision", ahead.revision},
              {"lane_revision", head}});
  fan_out_.restart(now);
}

void LaneHost::publish_report(Now now) {
  times_.report_ms = now.boot_ms + kReportMs;
  LaneReport report{.name = config_.name,
                    .store = parts_.store->state(),
                    .bytes = parts_.store->bytes(),
                    .tokens_max = config_.rules.tokens_max,
                    .readers = fan_out_.counts(),
                    .sources = counts_,
                    .fault = faults_.empty() ? std::string() : faults_.begin()->second};
  const MutexLock lock(mutex_);
  report_ = std::move(report);
}

}  // namespace notp::lane
