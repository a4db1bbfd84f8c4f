#include "notp-server/audit/log_writer.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "common/failpoint.hpp"
#include "common/log.hpp"

namespace notp::audit {
namespace {

constexpr std::chrono::milliseconds kPlacesLookMs{1'000};

uint64_t bytes_of(const record::Segment& segment) {
  return segment.body.size() + segment.head.checkpoint.size();
}

// Of a writer that stops: it acknowledges nothing.
wire::LogGrant nothing_stored(const record::LogId& log) {
  wire::LogGrant out;
  out.log = log;
  return out;
}

}  // namespace

LogWriter::LogWriter(AuditStore& store, LogWriterOptions options)
    : store_(store),
      options_(std::move(options)),
      ingest_(store, counters_, [this](const record::TreeEntry& entry) { log_entry(entry); }),
      catch_up_(options_.catching_up_max) {
  counters_.on_fault = options_.on_fault;
}

LogWriter::~LogWriter() { stop(); }

Result<void> LogWriter::start() {
  NOTP_TRY(ingest_.load());
  thread_ = std::thread([this] { run(); });
  return {};
}

void LogWriter::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  turn_away_all();
}

record::LogId LogWriter::log_of(const Job& job) {
  if (const auto* segment = std::get_if<record::Segment>(&job.what)) return segment->head.log;
  if (const auto* offer = std::get_if<wire::LogOffer>(&job.what)) return offer->log;
  if (const auto* announced = std::get_if<Announced>(&job.what)) return announced->log;
  return std::get<TurnedAway>(job.what).log;
}

// --- the queues

void LogWriter::offered(std::string node, wire::LogOffer offer, Done done) {
  add({std::move(node), offer, std::move(done)});
}

void LogWriter::announced(std::string node, record::LogId log, Bytes announcement, Done done) {
  add({std::move(node), Announced{log, std::move(announcement)}, std::move(done)});
}

void LogWriter::arrived(std::string node, record::Segment segment, Done done) {
  add({std::move(node), std::move(segment), std::move(done)});
}

void LogWriter::add(Job job) {
  bool is_stopping = false;
  {
    const MutexLock lock(mutex_);
    is_stopping = stopping_;
    auto* const segment = std::get_if<record::Segment>(&job.what);
    if (segment != nullptr && (segments_.size() >= options_.queue_max ||
                               segment_bytes_ + bytes_of(*segment) > options_.queue_bytes_max))
      job.what = TurnedAway{segment->head.log};
    else if (segment != nullptr)
      segment_bytes_ += bytes_of(*segment);
    if (!is_stopping)
      (std::holds_alternative<record::Segment>(job.what) ? segments_ : urgent_)
          .push_back(std::move(job));
  }
  if (!is_stopping) return wake_.notify_all();
  job.done(nothing_stored(log_of(job)));
}

void LogWriter::turn_away_all() {
  Jobs left;
  {
    const MutexLock lock(mutex_);
    left.swap(urgent_);
    std::ranges::move(segments_, std::back_inserter(left));
    segments_.clear();
  }
  for (Job& job : left) job.done(nothing_stored(log_of(job)));
  for (auto& [offer, done] : without_place_) done(nothing_stored(offer.log));
  without_place_.clear();
}

// --- the thread

// False: the writer stops.
bool LogWriter::wait_for_work(Jobs& urgent, Jobs& segments) {
  MutexLock lock(mutex_);
  while (!stopping_ && urgent_.empty() && segments_.empty()) {
    if (without_place_.empty())
      wake_.wait(lock);
    else if (wake_.wait_for(lock, kPlacesLookMs) == std::cv_status::timeout)
      break;
  }
  if (stopping_) return false;
  urgent.swap(urgent_);
  for (uint64_t bytes = 0; !segments_.empty() && segments.size() < limits::kIngestRoundMax &&
                           bytes < limits::kIngestRoundBytesMax;
       segments_.pop_front()) {
    segments.push_back(std::move(segments_.front()));
    bytes += bytes_of(std::get<record::Segment>(segments.back().what));
    segment_bytes_ -= bytes_of(std::get<record::Segment>(segments.back().what));
  }
  return true;
}

void LogWriter::run() {
  complete_tree();
  for (;;) {
    Jobs urgent, segments;
    if (!wait_for_work(urgent, segments)) return;
    for (Job& job : urgent) handle(job);
    handle_segments(segments);
    grant_places();
  }
}

void LogWriter::handle(Job& job) {
  const TimeMs now_ms = options_.clock().wall_ms;
  if (const auto* offer = std::get_if<wire::LogOffer>(&job.what)) {
    wire::LogGrant grant = ingest_.offered(job.node, *offer, now_ms);
    remember_key(grant);
    return answer_when_placed(*offer, std::move(grant), std::move(job.done));
  }
  if (const auto* away = std::get_if<TurnedAway>(&job.what))
    return job.done(ingest_.turn_away(away->log));
  const auto& announced = std::get<Announced>(job.what);
  auto grant = ingest_.announced(job.node, announced.log, announced.announcement, now_ms);
  while (!grant) {
    counters_.count_fault(ErrorCode::kIo);
    log::write(log::Level::kError, "log_not_stored", grant.error(), {{"identity", job.node}});
    if (!pause()) return job.done(nothing_stored(announced.log));
    grant = ingest_.announced(job.node, announced.log, announced.announcement, now_ms);
  }
  remember_key(*grant);
  job.done(*std::move(grant));
}

void LogWriter::remember_key(const wire::LogGrant& grant) {
  const auto key = grant.code == 0 ? ingest_.key_of(grant.log) : std::nullopt;
  if (!key) return;
  const MutexLock lock(mutex_);
  keys_[grant.log] = *key;
}

std::optional<PublicKey> LogWriter::key_of(const record::LogId& log) const {
  const MutexLock lock(mutex_);
  const auto at = keys_.find(log);
  return at == keys_.end() ? std::nullopt : std::optional(at->second);
}

// --- the registry's tree

// What finds no room before the writer stops is made again at the next start.
void LogWriter::log_entry(const record::TreeEntry& entry) {
  if (options_.tree == nullptr) return;
  while (!options_.tree->try_add(entry))
    if (!pause()) return;
}

void LogWriter::complete_tree() {
  if (options_.tree == nullptr) return;
  const auto logs = store_.logs();
  if (!logs)
    return log::write(log::Level::kError, "tree_not_completed", logs.error(),
                      {{"log", ""}, {"position", 0}});
  for (const StoredLog& log : *logs)
    if (!complete_tree(log, options_.tree->sealed_size(log.log))) return;
}

bool LogWriter::complete_tree(const StoredLog& log, record::Position from) {
  while (from < log.tree.size()) {
    if (is_stopping()) return false;
    auto stored = store_.find(log.log, from);
    if (stored && stored->tree.size() <= from)
      stored = fail(ErrorCode::kCorrupt, "the segment is not the one that follows");
    if (!stored) {
      // What cannot be read has no leaf of its own: the log's state stands for it.
      log::write(log::Level::kError, "tree_not_completed", stored.error(),
                 {{"log", log.log.hex()}, {"position", from}});
      stored = StoredSegment{.node = log.node, .segment = {}, .index = {}, .tree = log.tree};
      stored->segment.head.log = log.log;
      stored->stored_ms = log.last_ms;
    }
    log_entry(checkpoint_entry(*stored));
    from = stored->tree.size();
  }
  return true;
}

void LogWriter::answer_when_placed(const wire::LogOffer& offer, wire::LogGrant grant, Done done) {
  const bool is_behind = grant.code == 0 && offer.size > grant.next;
  if (!is_behind ||
      (without_place_.empty() && catch_up_.admit(offer.log, offer.size, options_.clock().boot_ms)))
    return done(std::move(grant));
  if (without_place_.size() >= limits::kGrantsWaitingMax) return done(ingest_.turn_away(offer.log));
  without_place_.emplace_back(offer, std::move(done));
}

// Grants go out in the order of the offers. What has changed since an offer is asked again.
void LogWriter::grant_places() {
  if (without_place_.empty()) return;
  const Now now = options_.clock();
  catch_up_.expire(now.boot_ms);
  while (!without_place_.empty() && catch_up_.free() > 0) {
    auto [offer, done] = std::move(without_place_.front());
    without_place_.pop_front();
    catch_up_.admit(offer.log, offer.size, now.boot_ms);
    done(ingest_.regranted(offer.log));
  }
}

void LogWriter::handle_segments(Jobs& jobs) {
  Round round;
  for (Job& job : jobs) {
    auto& segment = std::get<record::Segment>(job.what);
    // What it is compared with may be in this round.
    if (ingest_.has_come(segment)) commit(round);
    auto decision = ingest_.arrived(job.node, std::move(segment), options_.clock().wall_ms);
    if (decision.store) round.segments.push_back(*std::move(decision.store));
    if (decision.grant.code != 0) catch_up_.drop(decision.grant.log);
    // Also a refusal says what is stored: after the commit.
    round.answers.push_back({std::move(decision.grant), std::move(job.done)});
  }
  commit(round);
}

void LogWriter::commit(Round& round) {
  if (!store_round(round)) {
    is_abandoned_ = true;
    for (Answer& one : round.answers) one.done(nothing_stored(one.grant.log));
    round = {};
    return;
  }
  const TimeMs boot_ms = options_.clock().boot_ms;
  for (const StoredSegment& stored : round.segments) {
    const record::SegmentHead& head = stored.segment.head;
    ++counters_.segments;
    counters_.records += head.count;
    counters_.bytes += stored.segment.body.size();
    catch_up_.progress(head.log, head.end(), boot_ms);
  }
  if (!round.segments.empty()) failpoint("log_writer.after_commit");
  for (Answer& one : round.answers) one.done(std::move(one.grant));
  for (const StoredSegment& stored : round.segments) log_entry(checkpoint_entry(stored));
  round = {};
}

// False: the writer stops, and it is not known whether the segments are durable.
bool LogWriter::store_round(const Round& round) {
  if (round.segments.empty()) return !is_abandoned_;
  for (bool is_failing = is_abandoned_; !is_abandoned_; is_failing = true) {
    const auto stored = store_.append(round.segments);
    if (stored) return true;
    counters_.count_fault(ErrorCode::kIo);
    if (!is_failing) log::write(log::Level::kError, "segments_not_stored", stored.error());
    if (!pause()) return false;
  }
  return false;
}

bool LogWriter::is_stopping() const {
  const MutexLock lock(mutex_);
  return stopping_;
}

// Waits before a repetition; false: the writer stops.
bool LogWriter::pause() {
  MutexLock lock(mutex_);
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.retry_ms);
  while (!stopping_ && wake_.wait_until(lock, until) != std::cv_status::timeout) {
  }
  return !stopping_;
}

}  // namespace notp::audit
