#include "notp-client/spool/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/failpoint.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "notp-client/spool/old_files.hpp"
#include "notp-client/spool/record_size.hpp"
#include "notp-client/spool/wall_clock.hpp"

namespace notp::spool {
namespace {

constexpr size_t kBootIdBytesMax = 256;

// Empty: unknown, and like no other.
std::string boot_id_of(const std::filesystem::path& file) {
  Bytes text = read_file(file, kBootIdBytesMax).value_or("");
  while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
  return text;
}

record::Gap damage(uint64_t count, bool at_most, std::string message) {
  record::Gap gap;
  gap.reason = record::GapReason::kDamaged;
  gap.count = count;
  gap.at_most = at_most;
  gap.message = std::move(message);
  return gap;
}

LogState new_log_state(const PrivateKey& key, const SpoolIdentity& identity,
                       const std::filesystem::path& folder) {
  LogState state;
  state.key_pem = key.to_pem();
  state.trust_domain = identity.trust_domain;
  state.node = identity.node;
  // Names the files of the log before, too.
  state.created_ms = free_old_time(folder, read_clock().wall_ms);
  state.ended = true;  // nothing can be missing before its first run
  return state;
}

// The log that the files hold, and why it cannot go on; an empty reason: it can.
struct Found {
  std::unique_ptr<SegmentTable> table;
  std::optional<LogState> state;
  std::string reason;
  bool is_damaged = false;
};

std::string reason_to_end(const LogState& state, const SpoolIdentity& identity) {
  if (state.run >= limits::kRunMax)
    return fmt::format("the log before has had {} runs, which is all that it can number",
                       state.run);
  if (state.trust_domain != identity.trust_domain)
    return fmt::format("the node's trust domain was {}", printable(state.trust_domain));
  if (!state.node.empty() && !identity.node.empty() && state.node != identity.node)
    return fmt::format("the node's name was {}", printable(state.node));
  return {};
}

// A new table is complete before the old one is set aside: a crash in between leaves it without its
// name.
Result<void> finish_new_table(const std::filesystem::path& folder) {
  const bool is_between = std::filesystem::exists(folder / kNewTableFile) &&
                          !std::filesystem::exists(folder / kTableFile);
  std::optional<LogState> state;
  if (is_between) {
    NOTP_ASSIGN(const auto table, SegmentTable::open(folder / kNewTableFile));
    NOTP_ASSIGN(state, table->load());
  }
  if (!state) {
    remove_new_table(folder);
    return {};
  }
  NOTP_TRY(set_old_table_aside(folder, old_ending(state->created_ms)));
  return put_new_table(folder);
}

Result<Found> find_log(const std::filesystem::path& folder, const SpoolIdentity& identity) {
  Found found;
  const bool has_table = std::filesystem::exists(folder / kTableFile);
  const bool has_ring = std::filesystem::exists(folder / kRingFile);
  const auto damaged = [&](const Error& error) {
    found.table.reset();
    found.state.reset();
    found.reason = error.message;
    found.is_damaged = true;
  };
  auto table = SegmentTable::open(folder / kTableFile);
  if (!table) {
    if (table.error().code != ErrorCode::kCorrupt) return std::unexpected(table.error());
    damaged(table.error());
    return found;
  }
  found.table = *std::move(table);
  auto state = found.table->load();
  if (!state) {
    if (state.error().code != ErrorCode::kCorrupt) return std::unexpected(state.error());
    damaged(state.error());
    return found;
  }
  found.state = *std::move(state);
  if (found.state) {
    auto ending = found.table->ending();
    if (!ending) {
      if (ending.error().code != ErrorCode::kCorrupt) return std::unexpected(ending.error());
      damaged(ending.error());
      return found;
    }
    found.reason = *std::move(ending);
    if (found.reason.empty()) found.reason = reason_to_end(*found.state, identity);
  } else if (has_ring) {
    found.is_damaged = true;
    found.reason =
        fmt::format("{} {}", (folder / kTableFile).string(), has_table ? "is empty" : "is missing");
  }
  return found;
}

// Of a log whose ring has this state.
uint64_t records_in_ring(const std::filesystem::path& folder, const LogState& state,
                         const record::LogId& log) {
  const auto ring = RingFile::open(folder / kRingFile);
  if (!ring || (*ring)->header().log != log) return 0;
  const auto content = read_ring(**ring, state.live);
  return content ? content->backlog.size() : 0;
}

// What the log that begins says of the one before.
Result<void> refer_to(const Found& before, const std::filesystem::path& folder, LogState& state) {
  state.reason = before.reason;
  if (before.state) {
    NOTP_ASSIGN(const PrivateKey key, PrivateKey::from_pem(before.state->key_pem));
    state.previous = record::LogId::of(key.public_key());
    state.lost = before.state->tree.size() - before.state->acknowledged +
                 records_in_ring(folder, *before.state, *state.previous);
  } else if (const auto ring = RingFile::open(folder / kRingFile)) {
    state.previous = (*ring)->header().log;
  }
  return {};
}

// The registry's trees, which are no matter of one log.
struct KnownTrees {
  TreeState now;
  std::vector<PastTree> past;
};

// Without what cannot be read: the files of the log before are kept.
KnownTrees trees_of(const Found& before) {
  KnownTrees out;
  if (!before.table) return out;
  auto now = before.table->tree();
  auto past = before.table->past_trees();
  if (now && past) return {*std::move(now), *std::move(past)};
  log::write(log::Level::kError, "tree_not_read", now ? past.error() : now.error());
  return out;
}

// Begins a log that refers to the one before, if any, whose files it sets aside: the table here,
// the ring when it is found to belong to another log. A crash leaves either the old table, which
// leads here again, or the new one.
Result<void> begin_log(OpenedSpool& out, Found found, const std::filesystem::path& folder,
                       const SpoolIdentity& identity) {
  out.key = PrivateKey::generate();
  out.state = new_log_state(*out.key, identity, folder);
  if (found.reason.empty()) {
    out.table = std::move(found.table);
    return out.table->save(out.state);
  }
  NOTP_TRY(refer_to(found, folder, out.state));
  const KnownTrees trees = trees_of(found);
  found.table.reset();
  {
    NOTP_ASSIGN(const auto table, SegmentTable::open(folder / kNewTableFile));
    NOTP_TRY(table->keep_trees(trees.now, trees.past));
    NOTP_TRY(table->save(out.state));
  }
  failpoint("spool.before_old_table");
  NOTP_TRY(set_old_table_aside(folder, old_ending(out.state.created_ms)));
  failpoint("spool.after_old_table");
  NOTP_TRY(put_new_table(folder));
  NOTP_ASSIGN(out.table, SegmentTable::open(folder / kTableFile));
  failpoint("spool.after_new_log");
  return {};
}

// What recovery does to the ring.
struct RingPlan {
  std::shared_ptr<RingFile> file;  // null: it is lost
  RingContent content;
  std::vector<record::Gap> gaps;
  uint64_t unrecorded = 0;
};

record::Gap new_log_gap(const LogState& state) {
  record::Gap gap;
  gap.reason = record::GapReason::kNewLog;
  gap.count = state.lost;
  gap.message = fmt::format("the log before, {}, ended: {}",
                            state.previous ? state.previous->hex() : "unknown", state.reason);
  return gap;
}

Result<RingPlan> plan_ring(OpenedSpool& out, const std::filesystem::path& folder,
                           const SpoolOptions& options) {
  RingPlan plan;
  plan.content.head = plan.content.end = {0, 0, out.state.tree.size(), 0};
  auto opened = RingFile::open(folder / kRingFile);
  if (!opened && opened.error().code == ErrorCode::kIo) return std::unexpected(opened.error());
  std::string lost = opened ? "" : opened.error().message;
  if (opened && (*opened)->header().log != record::LogId::of(out.key->public_key()))
    lost = fmt::format("{} belongs to another log", (folder / kRingFile).string());
  if (lost.empty()) {
    auto content = read_ring(**opened, out.state.live);
    if (content) {
      plan.file = *opened;
      plan.content = *std::move(content);
      plan.gaps = missing_behind(plan.content, plan.file->header(), out.boot_id);
      const auto unrecorded = plan.file->read_unrecorded();
      if (unrecorded && unrecorded->position >= plan.content.end.position)
        plan.unrecorded = unrecorded->count;
      return plan;
    }
    if (content.error().code != ErrorCode::kCorrupt) return std::unexpected(content.error());
    lost = content.error().message;
  }
  if (opened) {
    const bool is_of_before = (*opened)->header().log == out.state.previous;
    NOTP_TRY(set_old_ring_aside(
        folder, old_ending(is_of_before ? out.state.created_ms
                                        : free_old_time(folder, read_clock().wall_ms))));
  }
  if (out.state.ended) return plan;
  // How many it held is not known: as many as could be in a ring, at most.
  plan.gaps.push_back(
      damage(options.ring_bytes / kFrameHeadBytes, /*at_most=*/true, std::move(lost)));
  return plan;
}

Result<void> write_gaps(RingPlan& plan, uint32_t run) {
  const int64_t now_ns = wall_ns();
  for (const record::Gap& gap : plan.gaps)
    NOTP_TRY(write_record(*plan.file, plan.content.end, plan.content.backlog, record::Kind::kGap,
                          {run, 0}, now_ns, encode_within_limit(now_ns, gap)));
  return {};
}

// The gaps belong to the run that they end; in a log that has had none, to the first one.
uint32_t last_run(const RingPlan& plan, const LogState& state) {
  const uint32_t run = std::max(state.run, 1U);
  if (plan.content.backlog.empty()) return run;
  const auto start = record::decode_start(plan.content.backlog.back()->record());
  return start ? start->place.run : run;
}

// Makes the ring hold the backlog and the gaps, durably, with the header of this start.
Result<void> settle_ring(RingPlan& plan, const OpenedSpool& out,
                         const std::filesystem::path& folder, const SpoolOptions& options,
                         const std::shared_ptr<RingFile>& spare) {
  const uint32_t run = last_run(plan, out.state);
  const record::Position synced =
      plan.file ? std::min(plan.file->header().synced, plan.content.end.position)
                : plan.content.end.position;
  uint64_t live = 0;
  for (const UnsealedPtr& record : plan.content.backlog) live += record->frame.size();
  const uint64_t capacity = std::max(options.ring_bytes, live + kOwnRecordsBytes);
  const auto new_file = folder / (std::string(kRingFile) + ".new");
  const bool is_new = !plan.file || plan.file->header().capacity != capacity;
  RingHeader header;
  header.id = is_new ? random_number() : plan.file->header().id;
  header.capacity = capacity;
  header.log = record::LogId::of(out.key->public_key());
  header.boot_id = out.boot_id;
  header.first = is_new ? out.state.tree.size() : plan.file->header().first;
  if (is_new && spare && spare->header().capacity == capacity) {
    plan.file = spare;
    NOTP_TRY(plan.file->begin_with(header));
  } else if (is_new) {
    NOTP_ASSIGN(plan.file, RingFile::create(new_file, header));
  }
  if (is_new) {
    NOTP_ASSIGN(plan.content.end,
                move_backlog(*plan.file, plan.content.backlog, plan.content.end.position));
    plan.content.head = {header.id, 0, out.state.tree.size(), 0};
  }
  // Before the header, whose promises would hide them.
  NOTP_TRY(write_gaps(plan, run));
  failpoint("spool.after_gaps");
  if (plan.unrecorded != 0)
    NOTP_TRY(plan.file->write_unrecorded({plan.content.end.position, plan.unrecorded}));
  header.synced = synced;
  header.written = plan.content.end.position;
  header.lease = header.written + limits::kRingLease;
  NOTP_TRY(plan.file->begin_with(header));
  NOTP_TRY(plan.file->sync());
  if (!is_new) return {};
  NOTP_TRY(plan.file->rename(folder / kRingFile));
  return sync_folder(folder);
}

void describe_new_log(OpenedSpool& out, RingPlan& plan) {
  plan.gaps.insert(plan.gaps.begin(), new_log_gap(out.state));
  out.kept = old_ending(out.state.created_ms);
  out.trouble = fmt::format("a new log was begun: {}; the files of the old one are kept as *{}",
                            out.state.reason, out.kept);
}

void describe_gaps(OpenedSpool& out, const std::vector<record::Gap>& gaps) {
  for (const record::Gap& gap : gaps) {
    log::warn("spool_gap", {{"reason", record::gap_reason_name(gap.reason)},
                            {"count", gap.count},
                            {"at_most", gap.at_most},
                            {"message", gap.message}});
    // A power cut is nothing that an operator must repair.
    if (gap.reason == record::GapReason::kDamaged && out.trouble.empty())
      out.trouble = fmt::format(
          "{}{} records are missing: {}; `notp-client decisions verify` "
          "says where",
          gap.at_most ? "at most " : "", gap.count, gap.message);
  }
}

}  // namespace

Result<RingContent> read_ring(const RingFile& ring, const RingPlace& live) {
  const RingHeader& header = ring.header();
  RingPlace from = live;
  if (live.ring != header.id) from = {header.id, 0, header.first, 0};
  if (from.position > live.position)
    return fail(ErrorCode::kCorrupt,
                fmt::format("the ring begins at position {}, and the segments end before {}",
                            from.position, live.position));
  RingContent out;
  RingReader reader(ring, from);
  out.head = from;
  while (true) {
    NOTP_ASSIGN(auto frame, reader.next());
    if (!frame) break;
    if (frame->position < live.position) {
      out.head = reader.place();
      continue;
    }
    const auto record = record::decode(frame->record());
    if (!record || record->place.position != frame->position)
      return fail(ErrorCode::kCorrupt,
                  fmt::format("the ring's record at position {} cannot be read", frame->position));
    auto unsealed = std::make_shared<Unsealed>();
    unsealed->kind = record->kind();
    unsealed->time_ns = record->time_ns;
    unsealed->frame = std::move(frame->bytes);
    unsealed->after = reader.place();
    out.backlog.push_back(std::move(unsealed));
  }
  out.end = reader.place();
  if (out.end.position < live.position) {
    // Sealed before the ring was replaced, or lost after it: the log goes on behind the segments.
    out.end.position = live.position;
    out.head = out.end;
    return out;
  }
  NOTP_ASSIGN(out.hidden, reader.count_hidden());
  return out;
}

std::vector<record::Gap> missing_behind(const RingContent& content, const RingHeader& header,
                                        std::string_view boot_id) {
  std::vector<record::Gap> gaps;
  const record::Position next = content.end.position;
  const bool same_boot = !boot_id.empty() && header.boot_id == boot_id;
  // In the same boot the kernel still has all that was written.
  const record::Position known =
      same_boot ? std::max(header.written, next + content.hidden) : header.synced;
  if (known > next)
    gaps.push_back(damage(known - next, /*at_most=*/false,
                          fmt::format("the ring is damaged at position {}", next)));
  const record::Position later = std::max(known, next);
  if (!same_boot && header.lease > later) {
    record::Gap gap;
    gap.reason = record::GapReason::kPowerLoss;
    gap.count = header.lease - later;
    gap.at_most = true;
    gaps.push_back(std::move(gap));
  }
  return gaps;
}

Result<std::shared_ptr<RingFile>> make_spare_ring(const std::filesystem::path& folder,
                                                  uint64_t capacity) {
  RingHeader header;
  header.capacity = std::max(capacity, kOwnRecordsBytes);
  return RingFile::create(folder / kSpareRingFile, header);
}

Result<OpenedSpool> recover(const std::filesystem::path& folder, const SpoolOptions& options,
                            const SpoolIdentity& identity, RecoveryParts parts) {
  if (!parts.lock) {
    NOTP_TRY(make_private_folder(folder));
    NOTP_ASSIGN(parts.lock, FolderLock::acquire(folder));
  }
  std::error_code ignored;
  if (!parts.ring) std::filesystem::remove(folder / kSpareRingFile, ignored);
  NOTP_TRY(finish_new_table(folder));
  OpenedSpool out{.lock = *std::move(parts.lock),
                  .table = nullptr,
                  .state = {},
                  .key = std::nullopt,
                  .tail = {},
                  .boot_id = boot_id_of(options.boot_id_file),
                  .kept = {},
                  .trouble = {}};
  NOTP_ASSIGN(Found found, find_log(folder, identity));
  if (found.is_damaged)
    log::error("spool_damaged", {{"folder", folder.string()}, {"reason", found.reason}});
  if (!found.state || !found.reason.empty()) {
    NOTP_TRY(begin_log(out, std::move(found), folder, identity));
  } else {
    out.table = std::move(found.table);
    out.state = *std::move(found.state);
    NOTP_ASSIGN(out.key, PrivateKey::from_pem(out.state.key_pem));
  }
  NOTP_ASSIGN(RingPlan plan, plan_ring(out, folder, options));
  // Until a record says it, since only the announcement would: durable before the ring has its
  // name.
  if (plan.content.end.position == 0 && !out.state.reason.empty()) describe_new_log(out, plan);
  NOTP_TRY(settle_ring(plan, out, folder, options, parts.ring));
  std::filesystem::remove(folder / kSpareRingFile, ignored);
  describe_gaps(out, plan.gaps);
  if (out.state.node.empty()) out.state.node = identity.node;
  ++out.state.run;
  out.state.ended = false;
  out.state.live = plan.content.head;
  NOTP_TRY(out.table->save(out.state));
  failpoint("spool.after_run");
  out.tail = {.log = plan.file->header().log,
              .run = out.state.run,
              .folder = folder,
              .ring = plan.file,
              .head = plan.content.head.offset,
              .end = plan.content.end,
              .backlog = std::move(plan.content.backlog),
              .unrecorded = plan.unrecorded};
  return out;
}

}  // namespace notp::spool
