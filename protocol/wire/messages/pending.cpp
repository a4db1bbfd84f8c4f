#include "protocol/wire/messages/pending.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {

template <>
struct Codec<PendingRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::message(2, Codec<model::LedgerId>::kLayout),
                                          rules::hash(3)};
  static constexpr Layout kLayout{PendingRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(8, kLayout)};

  static Result<void> check(const PendingRequest& in) {
    if (in.ledger) NOTP_TRY(check_ledger(*in.ledger));
    if (!in.after) return {};
    NOTP_TRY(check_ledger(in.after->ledger));
    return require(!in.after->release_hash.is_zero(), "no release hash");
  }
  static bool is_in(const pb::Request& in) { return in.has_pending(); }
  static void put(pb::Request& envelope, const PendingRequest& in) {
    pb::PendingRequest& out = *envelope.mutable_pending();
    if (in.ledger) wire::put(out.mutable_ledger(), *in.ledger);
    if (!in.after) return;
    wire::put(out.mutable_after_ledger(), in.after->ledger);
    out.set_after_release(hash_bytes(in.after->release_hash));
  }
  static Result<PendingRequest> take(const pb::Request& envelope) {
    const pb::PendingRequest& in = envelope.pending();
    PendingRequest out;
    if (in.has_ledger()) out.ledger = ledger_of(in.ledger());
    if (in.has_after_ledger() != !in.after_release().empty())
      return bad("a place among pending releases is half there");
    if (!in.has_after_ledger()) return out;
    out.after.emplace(ledger_of(in.after_ledger()));
    NOTP_ASSIGN(out.after->release_hash, take_hash(in.after_release()));
    return out;
  }
};

template <>
struct Codec<PendingRow> {
  using Proto = pb::PendingRow;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2),
                                          rules::hash(3),
                                          rules::identity(4),
                                          rules::text(5),
                                          rules::u64(6),
                                          rules::u32(7),
                                          rules::u32(8),
                                          rules::envelope(9)};
  static constexpr Layout kLayout{"PendingRow", kFields};

  static Result<void> check(const PendingRow& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_release(in.version, "pending version"));
    NOTP_TRY(require(!in.release_hash.is_zero(), "a pending release has no hash"));
    return check_envelope(in.envelope);
  }
  static void put(Proto& out, const PendingRow& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
    out.set_release_hash(hash_bytes(in.release_hash));
    out.set_publisher(clean_identity(in.publisher));
    out.set_message(clean_text(in.message));
    out.set_received_ms(in.received_ms);
    out.set_signers(in.signers);
    out.set_threshold(in.threshold);
    out.set_envelope(in.envelope);
  }
  static Result<PendingRow> take(const Proto& in) {
    PendingRow out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    out.version = in.version();
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    out.publisher = in.publisher();
    out.message = in.message();
    out.received_ms = in.received_ms();
    out.signers = in.signers();
    out.threshold = in.threshold();
    out.envelope = in.envelope();
    return out;
  }
};

template <>
struct Codec<PendingPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(9, Codec<PendingRow>::kLayout, limits::kQueryRowsMax)};

  static Result<void> check(const PendingPage& in) {
    return check_rows(in.rows, limits::kQueryRowsMax, "too many pending releases");
  }
  static bool is_in(const pb::Response& in) { return !in.pending().empty(); }
  static void put(pb::Response& out, const PendingPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_rows_that_fit(*out.mutable_pending(), in.rows, room);
    out.set_more(in.more || !all);
  }
  static Result<PendingPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<PendingRow>(in.pending()));
    return PendingPage{std::move(rows), in.more()};
  }
};

template <>
struct Codec<Cosign> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::hash(2), rules::signature(3)};
  static constexpr Layout kLayout{Cosign::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(9, kLayout)};

  static Result<void> check(const Cosign& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(require(!in.release_hash.is_zero(), "no release hash"));
    return check_signature(in.signature);
  }
  static bool is_in(const pb::Request& in) { return in.has_cosign(); }
  static void put(pb::Request& envelope, const Cosign& in) {
    pb::Cosign& out = *envelope.mutable_cosign();
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_release_hash(hash_bytes(in.release_hash));
    out.set_signature(in.signature);
  }
  static Result<Cosign> take(const pb::Request& envelope) {
    const pb::Cosign& in = envelope.cosign();
    Cosign out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    out.signature = in.signature();
    return out;
  }
};

template <>
struct Codec<DropPending> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::hash(2)};
  static constexpr Layout kLayout{DropPending::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(10, kLayout)};

  static Result<void> check(const DropPending& in) {
    NOTP_TRY(check_ledger(in.ledger));
    return require(!in.release_hash.is_zero(), "no release hash");
  }
  static bool is_in(const pb::Request& in) { return in.has_drop_pending(); }
  static void put(pb::Request& envelope, const DropPending& in) {
    pb::DropPending& out = *envelope.mutable_drop_pending();
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_release_hash(hash_bytes(in.release_hash));
  }
  static Result<DropPending> take(const pb::Request& envelope) {
    const pb::DropPending& in = envelope.drop_pending();
    DropPending out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    return out;
  }
};

template struct PartCodec<PendingRequest, pb::Request>;
template struct PartCodec<PendingPage, pb::Response>;
template struct PartCodec<Cosign, pb::Request>;
template struct PartCodec<DropPending, pb::Request>;

}  // namespace notp::wire
