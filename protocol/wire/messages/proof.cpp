#include "protocol/wire/messages/proof.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"
#include "protocol/wire/segment_codec.hpp"

namespace notp::wire {
namespace {

Result<void> check_note(std::string_view note) {
  return require(!note.empty() && note.size() <= limits::kCheckpointBytesMax,
                 "there is no checkpoint, or one that is too long");
}

Result<void> check_announcement(const Bytes& announcement) {
  return require(!announcement.empty() && announcement.size() <= limits::kAnnouncementBytesMax,
                 "there is no announcement, or one that is too long");
}

}  // namespace

template <>
struct Codec<TreeRequest> {
  static constexpr FieldRule kFields[] = {rules::u64(1)};
  static constexpr Layout kLayout{TreeRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(21, kLayout)};

  static Result<void> check(const TreeRequest& in) {
    return check_position(in.from, "the first entry");
  }
  static bool is_in(const pb::Request& in) { return in.has_tree(); }
  static void put(pb::Request& envelope, const TreeRequest& in) {
    envelope.mutable_tree()->set_from(in.from);
  }
  static Result<TreeRequest> take(const pb::Request& envelope) {
    return TreeRequest{envelope.tree().from()};
  }
};

template <>
struct Codec<TreePart> {
  using Proto = pb::TreePart;
  static constexpr FieldRule kFields[] = {
      rules::bytes(1, limits::kAnnouncementBytesMax), rules::bytes(2, limits::kCheckpointBytesMax),
      rules::u64(3), rules::u64(4),
      rules::bytes(5, limits::kTreeEntryBytesMax, limits::kTreeEntriesPageMax)};
  static constexpr Layout kLayout{TreePart::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(24, kLayout)};

  static Result<void> check(const TreePart& in) {
    NOTP_TRY(check_announcement(in.announcement));
    NOTP_TRY(check_note(in.checkpoint));
    NOTP_TRY(check_position(in.size, "the tree's size"));
    NOTP_TRY(require(in.entries.size() <= limits::kTreeEntriesPageMax, "too many entries"));
    for (const Bytes& entry : in.entries)
      NOTP_TRY(require(!entry.empty() && entry.size() <= limits::kTreeEntryBytesMax,
                       "an entry of the tree is empty or too long"));
    return require(in.first <= in.size && in.entries.size() <= in.size - in.first,
                   "entries past the end of the tree");
  }
  static bool is_in(const pb::Response& in) { return in.has_tree(); }
  // Leaves out the last entries when they do not fit.
  static void put(pb::Response& envelope, const TreePart& in) {
    size_t room = room_for_rows(envelope);
    envelope.set_more(false);
    Proto& out = *envelope.mutable_tree();
    out.set_announcement(in.announcement);
    out.set_checkpoint(in.checkpoint);
    out.set_size(in.size);
    out.set_first(in.first);
    room -= out.ByteSizeLong() + 2 * kRowOverheadBytes;
    put_envelopes_that_fit(*out.mutable_entries(), in.entries, room);
  }
  static Result<TreePart> take(const pb::Response& envelope) {
    const Proto& in = envelope.tree();
    TreePart out{in.announcement(),
                 in.checkpoint(),
                 in.size(),
                 in.first(),
                 {in.entries().begin(), in.entries().end()}};
    NOTP_TRY(check(out));
    return out;
  }
};

template <>
struct Codec<ProofRequest> {
  static constexpr FieldRule kFields[] = {log_rule(1), rules::u64(2)};
  static constexpr Layout kLayout{ProofRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(22, kLayout)};

  static Result<void> check(const ProofRequest& in) {
    return check_position(in.position, "position");
  }
  static bool is_in(const pb::Request& in) { return in.has_proof(); }
  static void put(pb::Request& envelope, const ProofRequest& in) {
    pb::ProofRequest& out = *envelope.mutable_proof();
    out.set_log(log_bytes(in.log));
    out.set_position(in.position);
  }
  static Result<ProofRequest> take(const pb::Request& envelope) {
    const pb::ProofRequest& in = envelope.proof();
    NOTP_ASSIGN(const record::LogId log, record::LogId::from_bytes(in.log()));
    return ProofRequest{log, in.position()};
  }
};

template <>
struct Codec<Cosigner> {
  using Proto = pb::Cosigner;
  static constexpr FieldRule kFields[] = {rules::identity(1),
                                          rules::bytes(2, limits::kAnnouncementBytesMax)};
  static constexpr Layout kLayout{"Cosigner", kFields};

  static Result<void> check(const Cosigner& in) { return check_announcement(in.announcement); }
  static void put(Proto& out, const Cosigner& in) {
    out.set_node(clean_identity(in.node));
    out.set_announcement(in.announcement);
  }
  static Result<Cosigner> take(const Proto& in) { return Cosigner{in.node(), in.announcement()}; }
};

template <>
struct Codec<RecordProof> {
  using Proto = pb::RecordProof;
  static constexpr FieldRule kFields[] = {
      rules::u64(1),
      rules::bytes(2, limits::kFrontierBytesMax),
      rules::u64(3),
      rules::hash(4, limits::kProofHashesMax),
      rules::bytes(5, limits::kCheckpointBytesMax),
      rules::bytes(6, limits::kAnnouncementBytesMax),
      rules::bytes(7, limits::kTreeEntryBytesMax),
      rules::bytes(8, limits::kAnnouncementBytesMax),
      rules::message(9, Codec<Cosigner>::kLayout, limits::kCosignaturesMax)};
  static constexpr Layout kLayout{RecordProof::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(25, kLayout)};

  static Result<void> check(const RecordProof& in) {
    NOTP_TRY(check_position(in.first, "the segment's first position"));
    NOTP_TRY(check_position(in.index, "the leaf's index"));
    NOTP_TRY(require(!in.before.empty() && in.before.size() <= limits::kFrontierBytesMax,
                     "there is no frontier, or one that is too long"));
    NOTP_TRY(require(in.inclusion.size() <= limits::kProofHashesMax, "a proof is too long"));
    NOTP_TRY(check_note(in.checkpoint));
    NOTP_TRY(check_announcement(in.announcement));
    NOTP_TRY(check_announcement(in.log_announcement));
    NOTP_TRY(require(!in.entry.empty() && in.entry.size() <= limits::kTreeEntryBytesMax,
                     "there is no entry, or one that is too long"));
    return check_rows(in.cosigners, limits::kCosignaturesMax, "too many cosigners");
  }
  static bool is_in(const pb::Response& in) { return in.has_proof(); }
  static void put(pb::Response& envelope, const RecordProof& in) {
    Proto& out = *envelope.mutable_proof();
    out.set_first(in.first);
    out.set_before(in.before);
    out.set_index(in.index);
    for (const Hash& hash : in.inclusion) out.add_inclusion(hash_bytes(hash));
    out.set_checkpoint(in.checkpoint);
    out.set_announcement(in.announcement);
    out.set_entry(in.entry);
    out.set_log_announcement(in.log_announcement);
    put_rows(*out.mutable_cosigners(), in.cosigners);
  }
  static Result<RecordProof> take(const pb::Response& envelope) {
    const Proto& in = envelope.proof();
    RecordProof out;
    out.first = in.first();
    out.before = in.before();
    out.index = in.index();
    NOTP_ASSIGN(out.inclusion, take_hashes(in.inclusion()));
    out.checkpoint = in.checkpoint();
    out.announcement = in.announcement();
    out.entry = in.entry();
    out.log_announcement = in.log_announcement();
    NOTP_ASSIGN(out.cosigners, take_rows<Cosigner>(in.cosigners()));
    return out;
  }
};

template struct PartCodec<TreeRequest, pb::Request>;
template struct PartCodec<TreePart, pb::Response>;
template struct PartCodec<ProofRequest, pb::Request>;
template struct PartCodec<RecordProof, pb::Response>;

}  // namespace notp::wire
