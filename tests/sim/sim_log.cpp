#include "tests/sim/sim_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "tests/sim/sim_trust.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kRemovalMs = 60'000;

Bytes random_secret(Random& random) {
  Bytes out;
  while (out.size() < record::kSegmentSecretBytes)
    for (uint64_t bits = random.next_u64(), i = 0; i < sizeof bits; ++i, bits >>= 8)
      out += static_cast<char>(bits);
  return out;
}

}  // namespace

SimLog::SimLog(const SimLogTerms& terms, LogKey key, TimeMs created_ms,
               std::optional<record::LogId> previous, std::string reason)
    : terms_(terms) {
  LogDisk::Table& table = disk_.table;
  table.announcement = announce(terms.node, {std::string(kTrustDomain), node_id(terms.node),
                                             key.public_key, created_ms, previous, reason});
  table.previous = previous;
  table.reason = std::move(reason);
  disk_.ring.header.log = key.log;
  table.key = std::move(key);
  durable_ = disk_.ring.header;
}

// --- processes

// As recover() and settle_ring() do; nothing is torn here, so that a damaged frame hides nothing.
void SimLog::open(const std::string& boot_id, TimeMs now_ms, int64_t wall_ns) {
  LogDisk::Table& table = disk_.table;
  LogDisk::Ring& ring = disk_.ring;
  auto book = spool::ReceiptBook::open(table.registry_tree);
  NOTP_ASSERT(book, "the disk has what a book keeps");
  book_ = *std::move(book);
  free_ring(table.tree.size());
  end_ = table.tree.size() + ring.records.size();
  spool::RingContent content;
  content.end.position = end_;
  const uint32_t run = table.run;
  table.run = ring.records.empty() ? std::max(run, 1U) : ring.records.back().run;
  if (end_ == 0 && !table.reason.empty())
    write(record::Gap{record::GapReason::kNewLog, 0, false, "", table.reason}, 0, now_ms, wall_ns);
  const record::Position synced = std::min(ring.header.synced, end_);
  for (const record::Gap& gap : spool::missing_behind(content, ring.header, boot_id))
    write(gap, 0, now_ms, wall_ns);
  ring.header.synced = synced;
  ring.header.written = end_;
  ring.header.lease = end_ + limits::kRingLease;
  ring.header.boot_id = boot_id;
  durable_ = ring.header;
  synced_ = end_;
  table.run = run + 1;
  write(record::RunStart{"sim", 0, boot_id}, 0, now_ms, wall_ns);
}

void SimLog::crash(bool power_lost, Random& random) {
  if (sealing_ && random.below(2) == 0) commit();
  sealing_.reset();
  if (is_syncing() && random.below(2) == 0) durable_ = syncing_;
  syncing_ = {};
  if (power_lost) {
    LogDisk::Ring& ring = disk_.ring;
    ring.header = durable_;
    const record::Position certain = std::min(synced_, end_);
    const record::Position kept = certain + random.below(end_ - certain + 1);
    while (!ring.records.empty() && ring.records.back().position >= kept) ring.records.pop_back();
  }
  is_connected_ = false;
  oldest_ms_ = kNever;
  active_.reset();
}

void SimLog::close(TimeMs now_ms, int64_t wall_ns, Random& random) {
  if (sealing_) finish_seal(now_ms);
  write(record::RunEnd{"stopped"}, 0, now_ms, wall_ns);
  begin_sync();
  syncing_.lease = end_;
  finish_sync();
  while (unsealed() > 0) {
    begin_seal(now_ms, random);
    finish_seal(now_ms);
  }
  crash(/*power_lost=*/false, random);
}

void SimLog::restore(LogDisk disk) {
  disk_ = std::move(disk);
  durable_ = disk_.ring.header;
  end_ = disk_.table.tree.size();
  if (!disk_.ring.records.empty()) end_ = std::max(end_, disk_.ring.records.back().position + 1);
  synced_ = end_;
}

// --- records

bool SimLog::is_full() const {
  if (terms_.unacknowledged_max == 0 || terms_.drops_oldest) return false;
  const auto& segments = disk_.table.segments;
  return static_cast<size_t>(std::distance(segments.lower_bound(disk_.table.acknowledged),
                                           segments.end())) >= terms_.unacknowledged_max;
}

record::Position SimLog::write(const record::Content& content, record::Position active,
                               TimeMs now_ms, int64_t wall_ns) {
  const auto kind = static_cast<record::Kind>(content.index());
  const uint32_t run = disk_.table.run;
  Bytes bytes;
  record::append_place(bytes, kind, {end_, run, active});
  bytes += record::encode_content(wall_ns, content);
  disk_.ring.records.push_back({end_, run, kind, std::move(bytes)});
  oldest_ms_ = std::min(oldest_ms_, now_ms);
  return end_++;
}

record::Position SimLog::append(record::DecisionContent content, const spool::ActiveSetPtr& active,
                                TimeMs now_ms, int64_t wall_ns) {
  if (active != active_) {
    active_at_ = write(*active, 0, now_ms, wall_ns);
    active_ = active;
  }
  return write(std::move(content), active_at_, now_ms, wall_ns);
}

void SimLog::begin_sync() {
  syncing_ = disk_.ring.header;
  syncing_.synced = synced_;
  syncing_.written = end_;
  syncing_.lease = end_ + limits::kRingLease;
}

record::Position SimLog::finish_sync() {
  disk_.ring.header = durable_ = std::exchange(syncing_, {});
  synced_ = durable_.written;
  return synced_;
}

TimeMs SimLog::seal_deadline_ms() const {
  if (sealing_ || oldest_ms_ == kNever) return kNever;
  if (unsealed() >= kSimSegmentRecords) return oldest_ms_;
  return oldest_ms_ + (is_connected_ ? limits::kSegmentConnectedMs : limits::kSegmentOfflineMs);
}

void SimLog::begin_seal(TimeMs now_ms, Random& random) {
  const LogDisk::Table& table = disk_.table;
  built_ = table.tree;
  record::SegmentBuilder builder(built_.size(), random_secret(random));
  for (const LogDisk::RingRecord& record : disk_.ring.records) {
    if (builder.count() == kSimSegmentRecords) break;
    builder.add(record.bytes, built_);
  }
  std::vector<Hash> subtrees;
  if (terms_.drops_oldest) subtrees = record::subtrees(builder.first(), builder.leaves());
  auto segment = std::move(builder).seal(table.key.log, built_,
                                         record::log_origin(node_id(terms_.node), table.key.log),
                                         *table.key.key);
  NOTP_ASSERT(segment, "the simulation seals small segments");
  segment->subtrees = std::move(subtrees);
  sealing_ = LogDisk::Sealed{*std::move(segment), now_ms};
}

void SimLog::commit() {
  LogDisk::Table& table = disk_.table;
  const record::Position first = sealing_->segment.head.first;
  table.segments[first] = std::make_shared<const LogDisk::Sealed>(*std::exchange(sealing_, {}));
  table.tree = built_;
}

void SimLog::finish_seal(TimeMs now_ms) {
  commit();
  free_ring(disk_.table.tree.size());
  oldest_ms_ = unsealed() == 0 ? kNever : now_ms;
  drop_bodies();
  remove_acknowledged(now_ms);
  if (on_sealed_) on_sealed_();
}

void SimLog::free_ring(record::Position end) {
  auto& records = disk_.ring.records;
  while (!records.empty() && records.front().position < end) records.pop_front();
}

// --- segments

void SimLog::drop_bodies() {
  if (!terms_.drops_oldest) return;
  auto& segments = disk_.table.segments;
  auto oldest = segments.lower_bound(disk_.table.acknowledged);
  for (auto left = static_cast<size_t>(std::distance(oldest, segments.end()));
       left > terms_.unacknowledged_max; --left, ++oldest) {
    if (oldest->second->segment.body.empty()) continue;
    LogDisk::Sealed dropped = *oldest->second;
    dropped.segment.body.clear();
    oldest->second = std::make_shared<const LogDisk::Sealed>(std::move(dropped));
  }
}

spool::SealedLog SimLog::sealed() const {
  const LogDisk::Table& table = disk_.table;
  const record::Position size = table.tree.size();
  return {table.key.log, table.segments.empty() ? size : table.segments.begin()->first, size,
          table.tree.root(), table.announcement};
}

Result<record::Segment> SimLog::segment(record::Position position) {
  const auto after = disk_.table.segments.upper_bound(position);
  if (after == disk_.table.segments.begin() ||
      std::prev(after)->second->segment.head.end() <= position)
    return fail(ErrorCode::kNotFound, fmt::format("no segment holds position {}", position));
  record::Segment out = std::prev(after)->second->segment;
  if (!out.body.empty()) out.subtrees.clear();
  return out;
}

void SimLog::acknowledged(record::Position next) {
  LogDisk::Table& table = disk_.table;
  next = std::clamp(next, sealed().first, table.tree.size());
  if (next == table.acknowledged) return;
  table.acknowledged = next;
  is_more_acknowledged_ = true;
}

void SimLog::remove_acknowledged(TimeMs now_ms) {
  if (!std::exchange(is_more_acknowledged_, false) && now_ms < next_removal_ms_) return;
  next_removal_ms_ = now_ms + kRemovalMs;
  LogDisk::Table& table = disk_.table;
  const record::Position free_below = book_.free_below(table.key.log, table.acknowledged);
  while (table.segments.size() > 1) {
    const auto oldest = table.segments.begin();
    const record::SegmentHead& head = oldest->second->segment.head;
    if (head.end() > free_below || oldest->second->sealed_ms + terms_.kept_ms > now_ms) return;
    table.roots[head.end()] = record::parse_checkpoint(head.checkpoint)->root;
    table.segments.erase(oldest);
  }
}

// --- the registry's tree

Result<std::optional<spool::OwnCheckpoint>> SimLog::checkpoint_at(record::Position size) {
  for (const auto& [first, sealed] : disk_.table.segments)
    if (sealed->segment.head.end() == size)
      return spool::OwnCheckpoint{record::parse_checkpoint(sealed->segment.head.checkpoint)->root,
                                  !sealed->segment.body.empty()};
  const auto kept = disk_.table.roots.find(size);
  if (kept == disk_.table.roots.end()) return std::nullopt;
  return spool::OwnCheckpoint{kept->second, false};
}

Result<void> SimLog::keep(const spool::TreeState& state) {
  if (!keeps_receipts_) return fail(ErrorCode::kIo, "the disk takes nothing");
  disk_.table.registry_tree = state;
  return {};
}

Result<Bytes> SimLog::cosign(std::string_view note, int64_t time_s) {
  return record::cosign(note, time_s, *disk_.table.key.key);
}

void SimLog::accept_tree() {
  spool::TreeState& tree = disk_.table.registry_tree;
  if (!tree.refusal) return;
  auto accepted = spool::accept_tree(tree, tree.refusal->tree);
  NOTP_ASSERT(accepted, "what was refused can be accepted");
  tree = *std::move(accepted);
}

uint64_t SimLog::kept_tree_size() const {
  const auto checkpoint = record::parse_checkpoint(disk_.table.registry_tree.checkpoint);
  return checkpoint ? checkpoint->size : 0;
}

}  // namespace notp::sim
