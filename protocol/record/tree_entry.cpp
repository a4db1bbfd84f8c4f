#include "protocol/record/tree_entry.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/utf8_cut.hpp"
#include "protocol/record/field_writer.hpp"
#include "protocol/record/tree.hpp"
#include "protocol/trust/proto_codec.hpp"
#include "schemas/record.pb.h"

namespace notp::record {
namespace {

using v1Entry = v1::TreeEntry;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("an entry of the registry's tree: {}", why));
}

Result<Hash> read_hash(const std::string& bytes, std::string_view field) {
  if (bytes.empty()) return Hash();
  auto hash = Hash::from_bytes(bytes);
  if (!hash || hash->is_zero()) return refuse(fmt::format("{} is not a hash", field));
  return hash;
}

Result<void> read_lists(const v1Entry& m, TreeEntry& out) {
  if (static_cast<size_t>(m.positions_size()) > limits::kSegmentRecordsMax ||
      static_cast<size_t>(m.hashes_size()) > limits::kSegmentRecordsMax)
    return refuse(fmt::format("it names more than {} records", limits::kSegmentRecordsMax));
  out.positions.assign(m.positions().begin(), m.positions().end());
  if (std::ranges::adjacent_find(out.positions, std::greater_equal()) != out.positions.end())
    return refuse("its positions are not ascending");
  for (const std::string& bytes : m.hashes()) {
    NOTP_ASSIGN(const Hash hash, read_hash(bytes, "one of its hashes"));
    if (hash.is_zero()) return refuse("one of its hashes is empty");
    out.hashes.push_back(hash);
  }
  return {};
}

}  // namespace

Bytes encode(const TreeEntry& entry) {
  Bytes out;
  FieldWriter writer(out);
  const auto text = [&](int field, std::string_view value) {
    writer.text(field, utf8_cut(value, limits::kErrorTextBytesMax));
  };
  const auto hash = [&](int field, const Hash& value) {
    if (!value.is_zero()) writer.bytes(field, value.view());
  };
  writer.number(v1Entry::kKindFieldNumber, static_cast<int>(entry.kind));
  writer.number(v1Entry::kTimeMsFieldNumber, entry.time_ms);
  if (entry.log) writer.bytes(v1Entry::kLogFieldNumber, entry.log->view());
  writer.number(v1Entry::kSizeFieldNumber, entry.size);
  hash(v1Entry::kRootFieldNumber, entry.root);
  writer.number(v1Entry::kFirstFieldNumber, entry.first);
  writer.number(v1Entry::kCountFieldNumber, entry.count);
  Bytes positions;
  for (const Position position : entry.positions) put_varint(positions, position);
  writer.bytes(v1Entry::kPositionsFieldNumber, positions);
  for (const Hash& each : entry.hashes) writer.bytes(v1Entry::kHashesFieldNumber, each.view());
  text(v1Entry::kRuleFieldNumber, entry.rule);
  hash(v1Entry::kReleaseFieldNumber, entry.release);
  text(v1Entry::kByFieldNumber, entry.by);
  hash(v1Entry::kDigestFieldNumber, entry.digest);
  writer.number(v1Entry::kCodeFieldNumber, entry.code);
  text(v1Entry::kIdFieldNumber, entry.id);
  writer.number(v1Entry::kOnFieldNumber, entry.on);
  return out;
}

Result<TreeEntry> decode_tree_entry(ByteView bytes) {
  v1Entry m;
  if (!trust::parse(bytes, m, limits::kTreeEntryBytesMax)) return refuse("it does not decode");
  TreeEntry out;
  if (m.kind() < v1Entry::CHECKPOINT || m.kind() > v1Entry::ERASURE)
    return refuse(fmt::format("kind {} is not known to this program", static_cast<int>(m.kind())));
  out.kind = static_cast<TreeEntryKind>(m.kind());
  out.time_ms = m.time_ms();
  if (!m.log().empty()) {
    NOTP_ASSIGN(out.log, LogId::from_bytes(m.log()));
  }
  out.size = m.size();
  NOTP_ASSIGN(out.root, read_hash(m.root(), "root"));
  out.first = m.first();
  out.count = m.count();
  NOTP_TRY(read_lists(m, out));
  out.rule = m.rule();
  NOTP_ASSIGN(out.release, read_hash(m.release(), "release"));
  out.by = m.by();
  NOTP_ASSIGN(out.digest, read_hash(m.digest(), "digest"));
  out.code = m.code();
  out.id = m.id();
  out.on = m.on();
  if (encode(out) != bytes) return refuse("it is not in its one encoding");
  return out;
}

Hash tree_leaf(ByteView entry) { return leaf_hash({}, entry); }

}  // namespace notp::record
