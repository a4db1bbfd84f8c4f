#include "protocol/wire/segment_codec.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/record/tree.hpp"

namespace notp::wire {

Result<void> check_position(uint64_t position, std::string_view what) {
  if (position <= limits::kPositionMax) return {};
  return fail(ErrorCode::kMessage,
              fmt::format("{} {} is above {}", what, position, limits::kPositionMax));
}

Result<void> check_oldest_age(uint64_t age_ms) {
  return require(age_ms <= static_cast<uint64_t>(limits::kTimestampMsMax),
                 "the age of the oldest record is too large");
}

// --- an offer of a log

Result<void> Codec<LogOffer>::check(const LogOffer& in) {
  NOTP_TRY(check_position(in.size, "the size of the log"));
  NOTP_TRY(check_oldest_age(in.oldest_age_ms));
  NOTP_TRY(check_position(in.tree_size, "the size of the registry's tree"));
  NOTP_TRY(require(in.tree || in.tree_size == 0, "the size of an unnamed tree"));
  return require(!in.root.is_zero(), "an offered log has no root");
}

void Codec<LogOffer>::put(Proto& out, const LogOffer& in) {
  out.set_log(log_bytes(in.log));
  out.set_size(in.size);
  out.set_root(hash_bytes(in.root));
  out.set_oldest_age_ms(in.oldest_age_ms);
  if (in.tree) out.set_tree(log_bytes(*in.tree));
  out.set_tree_size(in.tree_size);
}

Result<LogOffer> Codec<LogOffer>::take(const Proto& in) {
  LogOffer out;
  NOTP_ASSIGN(out.log, record::LogId::from_bytes(in.log()));
  out.size = in.size();
  NOTP_ASSIGN(out.root, take_hash(in.root()));
  out.oldest_age_ms = in.oldest_age_ms();
  if (!in.tree().empty()) {
    NOTP_ASSIGN(out.tree, record::LogId::from_bytes(in.tree()));
  }
  out.tree_size = in.tree_size();
  return out;
}

// --- a segment's head

Result<void> Codec<SegmentOutline>::check(const record::SegmentHead& head,
                                          const std::vector<Hash>& subtrees, bool has_body) {
  NOTP_TRY(require(head.count >= 1 && head.count <= limits::kSegmentRecordsMax,
                   "a segment has no records, or too many"));
  NOTP_TRY(check_position(head.first, "the segment's first position"));
  NOTP_TRY(check_position(head.end(), "the segment's end"));
  NOTP_TRY(require(head.content_bytes >= 1 && head.content_bytes <= limits::kSegmentContentMax,
                   "a segment's content is empty or too large"));
  NOTP_TRY(require(head.secret.size() == record::kSegmentSecretBytes,
                   "a segment's secret is not 32 bytes long"));
  NOTP_TRY(
      require(!head.checkpoint.empty() && head.checkpoint.size() <= limits::kCheckpointBytesMax,
              "a segment has no checkpoint, or one that is too long"));
  NOTP_TRY(require(has_body == subtrees.empty(), "a segment has either a body or subtrees"));
  if (has_body) return {};
  NOTP_TRY(require(std::ranges::none_of(subtrees, &Hash::is_zero), "a subtree has no hash"));
  return require(subtrees.size() == record::subtree_count(head.first, head.count),
                 "the subtrees are not those of the segment's records");
}

void Codec<SegmentOutline>::put(Proto& out, const record::SegmentHead& head,
                                const std::vector<Hash>& subtrees) {
  out.set_log(log_bytes(head.log));
  out.set_first(head.first);
  out.set_count(head.count);
  out.set_content(head.content_bytes);
  out.set_secret(head.secret);
  out.set_checkpoint(head.checkpoint);
  for (const Hash& subtree : subtrees) out.add_subtrees(hash_bytes(subtree));
}

Result<SegmentOutline> Codec<SegmentOutline>::take(const Proto& in) {
  SegmentOutline out;
  NOTP_ASSIGN(out.head.log, record::LogId::from_bytes(in.log()));
  out.head.first = in.first();
  out.head.count = in.count();
  out.head.content_bytes = in.content();
  out.head.secret = in.secret();
  out.head.checkpoint = in.checkpoint();
  NOTP_ASSIGN(out.subtrees, take_hashes(in.subtrees()));
  return out;
}

}  // namespace notp::wire
