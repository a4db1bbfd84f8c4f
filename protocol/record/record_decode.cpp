#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <ranges>
#include <tuple>

#include "common/limits.hpp"
#include "protocol/record/record.hpp"
#include "protocol/trust/proto_codec.hpp"
#include "schemas/record.pb.h"

namespace notp::record {
namespace {

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("a record: {}", why));
}

// A value of an enum of the schema within [low, high]: another one is from a newer writer, and does
// not fit the enum of this program.
template <typename Enum>
Result<Enum> read_enum(int value, int low, int high, std::string_view field) {
  if (value < low || value > high)
    return refuse(fmt::format("{} is {}, which this program does not know", field, value));
  return static_cast<Enum>(value);
}

Result<Outcome> read_outcome(int value) {
  return read_enum<Outcome>(value, 0, static_cast<int>(kOutcomes) - 1, "outcome");
}

Result<std::optional<Hash>> read_hash(const std::string& bytes, std::string_view field) {
  if (bytes.empty()) return std::nullopt;
  const auto hash = Hash::from_bytes(bytes);
  if (!hash) return refuse(fmt::format("{} is not 32 bytes", field));
  return *hash;
}

Failure read(const v1::Failure& m) { return {m.code(), m.message(), m.errors()}; }

Result<Commitment> read(const v1::Commitment& m) {
  if (m.salt().size() != kCommitmentSaltBytes || m.hmac().size() != Hash::kSize)
    return refuse(fmt::format("the commitment to '{}' has not {} bytes of salt and {} of hmac",
                              printable(m.pointer()), kCommitmentSaltBytes, Hash::kSize));
  return Commitment{m.pointer(), m.salt(), m.hmac()};
}

Result<Withheld> read(const v1::Withheld& m) {
  Withheld out;
  NOTP_ASSIGN(out.reason, read_enum<WithheldReason>(m.reason(), 1, 2, "withheld.reason"));
  out.message = m.message();
  NOTP_ASSIGN(out.input_hash, read_hash(m.input_sha256(), "withheld.input_sha256"));
  NOTP_ASSIGN(out.result_hash, read_hash(m.result_sha256(), "withheld.result_sha256"));
  return out;
}

Pep read(const v1::Pep& m) {
  Pep out;
  if (m.has_uid()) out.uid = m.uid();
  if (m.has_gid()) out.gid = m.gid();
  if (m.has_pid()) out.pid = m.pid();
  out.identity = m.identity();
  out.token = m.token();
  out.address = m.address();
  return out;
}

Times read(const v1::Times& m) { return {m.evaluation_us(), m.handler_us(), m.all()}; }

Result<void> read_masks(const v1::Record& m, DecisionContent& out) {
  for (const int count : {m.erased_size(), m.masked_size(), m.commitments_size()})
    if (static_cast<size_t>(count) > limits::kMaskedPathsMax)
      return refuse(fmt::format("it names {} masked values, at most {} are named", count,
                                limits::kMaskedPathsMax));
  out.erased.assign(m.erased().begin(), m.erased().end());
  out.masked.assign(m.masked().begin(), m.masked().end());
  for (const v1::Commitment& each : m.commitments()) {
    NOTP_ASSIGN(Commitment commitment, read(each));
    out.commitments.push_back(std::move(commitment));
  }
  if (m.has_withheld()) {
    NOTP_ASSIGN(out.withheld, read(m.withheld()));
  }
  return {};
}

void read_identifiers(const v1::Record& m, DecisionContent& out) {
  out.decision_id = m.decision_id();
  out.batch_decision_id = m.batch_decision_id();
  out.trace_id = m.trace_id();
  out.span_id = m.span_id();
  out.req_id = m.req_id();
  out.request_context = m.request_context();
  out.requested_by = m.requested_by();
  if (m.has_pep()) out.pep = read(m.pep());
  if (m.has_times()) out.times = read(m.times());
  if (m.has_lane()) out.lane = Lane{m.lane().name(), m.lane().revision(), m.lane().state()};
}

Result<void> read_txn_tokens(const v1::Record& m, DecisionContent& out) {
  if (static_cast<size_t>(m.txn_tokens_size()) > kTxnTokensMax)
    return refuse(fmt::format("it has {} transaction tokens, at most {} are named",
                              m.txn_tokens_size(), kTxnTokensMax));
  for (const v1::TxnToken& each : m.txn_tokens()) {
    const auto hash = Hash::from_bytes(each.sha256());
    if (!hash) return refuse("sha256 of a transaction token is not 32 bytes");
    out.txn_tokens.push_back({each.pointer(), *hash, each.txn(), each.sub(), each.req_wl()});
  }
  return {};
}

Result<Content> read_decision(v1::Record& m) {
  DecisionContent out;
  out.eval_time_ns = m.eval_time_ns();
  NOTP_ASSIGN(out.api, read_enum<Api>(m.api(), 0, static_cast<int>(Api::kOpa), "api"));
  out.path = m.path();
  out.query = m.query();
  out.ledger = m.ledger();
  NOTP_ASSIGN(out.outcome, read_outcome(m.outcome()));
  if (m.has_input()) out.input = std::move(*m.mutable_input());
  if (m.has_result()) out.result = std::move(*m.mutable_result());
  if (m.has_error()) out.error = read(m.error());
  out.nd_builtin_cache = m.nd_builtin_cache();
  NOTP_TRY(read_masks(m, out));
  out.mapped_result = m.mapped_result();
  out.intermediate_results = m.intermediate_results();
  out.rule_labels = m.rule_labels();
  out.custom = m.custom();
  read_identifiers(m, out);
  NOTP_TRY(read_txn_tokens(m, out));
  return out;
}

Result<ActiveRelease> read(const v1::ActiveRelease& m) {
  ActiveRelease out;
  out.ref.ledger = {m.zone(), m.ledger()};
  if (const auto ok = out.ref.ledger.check(); !ok) return refuse(ok.error().message);
  out.ref.epoch = m.epoch();
  out.ref.version = m.version();
  const auto release = Hash::from_bytes(m.release());
  const auto content_root = Hash::from_bytes(m.content_root());
  if (!release || !content_root)
    return refuse("release or content_root of an active release is not 32 bytes");
  out.ref.release_hash = *release;
  out.ref.content_root = *content_root;
  out.freshness = m.freshness();
  return out;
}

Result<Content> read_active(const v1::Record& record) {
  const v1::ActiveSet& m = record.active_set();
  if (static_cast<size_t>(m.releases_size()) > limits::kLedgersPerSessionMax)
    return refuse("it names too many active releases");
  ActiveSet out;
  for (const v1::ActiveRelease& each : m.releases()) {
    NOTP_ASSIGN(ActiveRelease release, read(each));
    out.releases.push_back(std::move(release));
  }
  const auto ledgers =
      out.releases | std::views::transform([](const ActiveRelease& r) { return r.ref.ledger; });
  if (std::ranges::adjacent_find(ledgers, std::greater_equal{}) != ledgers.end())
    return refuse("active releases are not sorted, or a ledger is there twice");
  out.engine = m.engine();
  out.engine_version = m.engine_version();
  out.revision = m.revision();
  out.system = m.system();
  return out;
}

Result<Content> read_gap(const v1::Record& record) {
  const v1::Gap& m = record.gap();
  Gap out;
  NOTP_ASSIGN(out.reason, read_enum<GapReason>(m.reason(), 1, static_cast<int>(GapReason::kNewLog),
                                               "gap.reason"));
  out.count = m.count();
  out.at_most = m.at_most();
  out.source = m.source();
  out.message = m.message();
  return out;
}

Result<Content> read_dropped(const v1::Record& record) {
  Dropped out;
  for (const v1::DroppedCount& each : record.dropped().counts()) {
    NOTP_ASSIGN(const Outcome outcome, read_outcome(each.outcome()));
    out.counts.push_back({each.path(), outcome, each.rule(), each.count()});
  }
  const auto keys = out.counts | std::views::transform([](const DroppedCount& c) {
                      return std::tie(c.path, c.outcome, c.rule);
                    });
  if (std::ranges::adjacent_find(keys, std::greater_equal{}) != keys.end())
    return refuse("counts of dropped decisions are not sorted, or one is there twice");
  return out;
}

Result<Content> read_content(v1::Record& m, Kind kind) {
  switch (kind) {
    case Kind::kActive:
      return read_active(m);
    case Kind::kRunStart: {
      const v1::RunStart& start = m.run_start();
      return RunStart{start.program(), start.boot_ns(), start.boot_id()};
    }
    case Kind::kRunEnd:
      return RunEnd{m.run_end().reason()};
    case Kind::kGap:
      return read_gap(m);
    case Kind::kDropped:
      return read_dropped(m);
    case Kind::kDecision:
      break;
  }
  return read_decision(m);
}

// Takes a varint field off the front, if it comes next; its default is not written.
Result<uint64_t> take_field(ByteView& in, char tag) {
  if (!in.starts_with(tag)) return 0;
  in.remove_prefix(1);
  auto value = take_varint(in);
  if (!value || *value == 0) return refuse("its place is not in its one encoding");
  return value;
}

Result<void> check_range(uint64_t value, uint64_t low, uint64_t high, std::string_view field) {
  if (value >= low && value <= high) return {};
  return refuse(fmt::format("{} is {}, not within {} and {}", field, value, low, high));
}

}  // namespace

Result<RecordStart> decode_start(ByteView bytes) {
  constexpr char kTagAfter = 5 << 3;
  NOTP_ASSIGN(const uint64_t kind, take_field(bytes, 1 << 3));
  NOTP_ASSIGN(const uint64_t position, take_field(bytes, 2 << 3));
  NOTP_ASSIGN(const uint64_t run, take_field(bytes, 3 << 3));
  NOTP_ASSIGN(const uint64_t active, take_field(bytes, 4 << 3));
  // One of these fields out of order; a tag of two bytes begins with its high bit.
  if (!bytes.empty() && static_cast<uint8_t>(bytes.front()) < kTagAfter)
    return refuse("its place is not in its one encoding");
  NOTP_TRY(check_range(kind, 0, static_cast<uint64_t>(Kind::kDropped), "kind"));
  NOTP_TRY(check_range(position, 0, limits::kPositionMax, "position"));
  NOTP_TRY(check_range(run, 1, limits::kRunMax, "run"));
  NOTP_TRY(check_range(active, 0, position, "active"));
  return RecordStart{static_cast<Kind>(kind), {position, static_cast<uint32_t>(run), active}};
}

namespace {

// A message that was used before has memory for its strings: reading takes half of the time. Each
// thread keeps the memory of one record of usual size.
v1::Record& message_for(size_t bytes, std::optional<v1::Record>& own) {
  constexpr size_t kKeptBytesMax = 64 << 10;
  if (bytes > kKeptBytesMax) return own.emplace();
  thread_local v1::Record kept;
  return kept;
}

}  // namespace

Result<Record> decode(ByteView bytes) {
  if (bytes.size() > limits::kRecordBytesMax)
    return refuse(
        fmt::format("it has {} bytes, at most {} are read", bytes.size(), limits::kRecordBytesMax));
  NOTP_ASSIGN(const RecordStart start, decode_start(bytes));
  std::optional<v1::Record> own;
  v1::Record& m = message_for(bytes.size(), own);
  if (!trust::parse(bytes, m, limits::kRecordBytesMax)) return refuse("it does not decode");
  Record out;
  out.place = start.place;
  out.time_ns = m.time_ns();
  NOTP_ASSIGN(out.content, read_content(m, start.kind));
  // The fields of other kinds, a field twice, explicit defaults and unknown fields are not in it.
  if (encode(out) != bytes)
    return refuse(
        "not in its one encoding, or with a field that this program is too old to "
        "understand");
  return out;
}

}  // namespace notp::record
