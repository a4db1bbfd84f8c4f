#include "protocol/wire/messages/ledgers.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {

// --- history

template <>
struct Codec<HistoryRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2), rules::u32(3)};
  static constexpr Layout kLayout{HistoryRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(2, kLayout)};

  static Result<void> check(const HistoryRequest& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_release_or_none(in.below_version, "version"));
    return require(in.rows_max <= limits::kQueryRowsMax, "too many rows asked for");
  }
  static bool is_in(const pb::Request& in) { return in.has_history(); }
  static void put(pb::Request& envelope, const HistoryRequest& in) {
    pb::HistoryRequest& out = *envelope.mutable_history();
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_below_version(in.below_version);
    out.set_rows_max(in.rows_max);
  }
  static Result<HistoryRequest> take(const pb::Request& envelope) {
    const pb::HistoryRequest& in = envelope.history();
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return HistoryRequest{std::move(ledger), in.below_version(), in.rows_max()};
  }
};

template <>
struct Codec<HistoryRow> {
  using Proto = pb::HistoryRow;
  static constexpr FieldRule kFields[] = {rules::u64(1),       rules::hash(2), rules::hash(3),
                                          rules::identity(4),  rules::text(5), rules::u64(6),
                                          rules::u64(7),       rules::u64(8),  rules::name(9),
                                          rules::envelope(10), rules::text(11)};
  static constexpr Layout kLayout{"HistoryRow", kFields};

  static Result<void> check(const HistoryRow& in) {
    NOTP_TRY(check_release(in.version, "version"));
    NOTP_TRY(require(!in.release_hash.is_zero() && !in.content_root.is_zero(),
                     "a history row has no hash"));
    return require(in.envelope.size() <= limits::kEnvelopeBytesMax, "an envelope is too long");
  }
  static void put(Proto& out, const HistoryRow& in) {
    out.set_version(in.version);
    out.set_release_hash(hash_bytes(in.release_hash));
    out.set_content_root(hash_bytes(in.content_root));
    out.set_publisher(clean_identity(in.publisher));
    out.set_message(clean_text(in.message));
    out.set_issued_ms(in.issued_ms);
    out.set_total_bytes(in.total_bytes);
    out.set_file_count(in.file_count);
    out.set_commit(clean_name(in.commit));
    out.set_envelope(in.envelope);
    out.set_withdrawn(clean_text(in.withdrawn));
  }
  static Result<HistoryRow> take(const Proto& in) {
    HistoryRow out;
    out.version = in.version();
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
    out.publisher = in.publisher();
    out.message = in.message();
    out.issued_ms = in.issued_ms();
    out.total_bytes = in.total_bytes();
    out.file_count = in.file_count();
    out.commit = in.commit();
    out.envelope = in.envelope();
    out.withdrawn = in.withdrawn();
    return out;
  }
};

template <>
struct Codec<HistoryPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(4, Codec<HistoryRow>::kLayout, limits::kQueryRowsMax)};

  static Result<void> check(const HistoryPage& in) {
    return check_rows(in.rows, limits::kQueryRowsMax, "too many history rows");
  }
  static bool is_in(const pb::Response& in) { return !in.history().empty(); }
  static void put(pb::Response& out, const HistoryPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_rows_that_fit(*out.mutable_history(), in.rows, room);
    out.set_more(in.more || !all);
  }
  static Result<HistoryPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<HistoryRow>(in.history()));
    return HistoryPage{std::move(rows), in.more()};
  }
};

// --- ledgers

template <>
struct Codec<LedgersRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout)};
  static constexpr Layout kLayout{LedgersRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(4, kLayout)};

  static Result<void> check(const LedgersRequest& in) {
    return in.after ? check_ledger(*in.after) : Result<void>{};
  }
  static bool is_in(const pb::Request& in) { return in.has_ledgers(); }
  static void put(pb::Request& envelope, const LedgersRequest& in) {
    pb::LedgersRequest& out = *envelope.mutable_ledgers();
    if (in.after) wire::put(out.mutable_after(), *in.after);
  }
  static Result<LedgersRequest> take(const pb::Request& envelope) {
    const pb::LedgersRequest& in = envelope.ledgers();
    LedgersRequest out;
    if (in.has_after()) out.after = ledger_of(in.after());
    return out;
  }
};

template <>
struct Codec<LedgersPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(6, Codec<trust::ReleaseRef>::kLayout, limits::kLedgersMax),
      rules::message(14, Codec<Refusal>::kLayout, limits::kLedgersMax)};

  static Result<void> check(const LedgersPage& in) {
    NOTP_TRY(check_rows(in.heads, limits::kLedgersMax, "too many ledgers"));
    return check_rows(in.damaged, limits::kLedgersMax, "too many damaged ledgers");
  }
  static bool is_in(const pb::Response& in) {
    return !in.ledgers().empty() || !in.damaged().empty();
  }
  static void put(pb::Response& out, const LedgersPage& in) {
    size_t room = room_for_rows(out);
    const bool all_heads = put_rows_that_fit(*out.mutable_ledgers(), in.heads, room);
    const bool all_damaged = put_rows_that_fit(*out.mutable_damaged(), in.damaged, room);
    out.set_more(in.more || !all_heads || !all_damaged);
  }
  static Result<LedgersPage> take(const pb::Response& in) {
    LedgersPage out;
    NOTP_ASSIGN(out.heads, take_rows<trust::ReleaseRef>(in.ledgers()));
    NOTP_ASSIGN(out.damaged, take_rows<Refusal>(in.damaged()));
    out.more = in.more();
    return out;
  }
};

// --- withdraw

template <>
struct Codec<Withdraw> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2), rules::text(3)};
  static constexpr Layout kLayout{Withdraw::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(7, kLayout)};

  static Result<void> check(const Withdraw& in) {
    NOTP_TRY(check_ledger(in.ledger));
    return check_release(in.version, "withdrawn version");
  }
  static bool is_in(const pb::Request& in) { return in.has_withdraw(); }
  static void put(pb::Request& envelope, const Withdraw& in) {
    pb::Withdraw& out = *envelope.mutable_withdraw();
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
    out.set_reason(clean_text(in.reason));
  }
  static Result<Withdraw> take(const pb::Request& envelope) {
    const pb::Withdraw& in = envelope.withdraw();
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return Withdraw{std::move(ledger), in.version(), in.reason()};
  }
};

template struct PartCodec<HistoryRequest, pb::Request>;
template struct PartCodec<HistoryPage, pb::Response>;
template struct PartCodec<LedgersRequest, pb::Request>;
template struct PartCodec<LedgersPage, pb::Response>;
template struct PartCodec<Withdraw, pb::Request>;

}  // namespace notp::wire
