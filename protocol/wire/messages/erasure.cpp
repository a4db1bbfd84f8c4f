#include "protocol/wire/messages/erasure.hpp"

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/wire/filter_codec.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {
namespace {

Result<void> check_id(std::string_view id) {
  return require(!id.empty() && id.size() <= limits::kNameBytesMax && is_utf8(id),
                 "a hold has no id, or one that is too long");
}

Result<void> check_reason(std::string_view reason) {
  return require(!reason.empty() && reason.size() <= limits::kErrorTextBytesMax && is_utf8(reason),
                 "there is no reason, or one that is too long");
}

}  // namespace

// --- holds

template <>
struct Codec<Hold> {
  using Proto = pb::Hold;
  static constexpr FieldRule kFields[] = {
      rules::name(1), rules::message(2, Codec<DecisionFilter>::kLayout),
      rules::text(3), rules::identity(4),
      rules::u64(5),  rules::u64(6),
      rules::u64(7)};
  static constexpr Layout kLayout{"Hold", kFields};

  static Result<void> check(const Hold& in) {
    NOTP_TRY(check_id(in.id));
    return Codec<DecisionFilter>::check(in.filter);
  }
  static void put(Proto& out, const Hold& in) {
    out.set_id(in.id);
    Codec<DecisionFilter>::put(*out.mutable_filter(), in.filter);
    out.set_reason(clean_text(in.reason));
    out.set_by(clean_identity(in.by));
    out.set_placed_ms(in.placed_ms);
    out.set_lifted_ms(in.lifted_ms);
    out.set_index(in.index);
  }
  static Result<Hold> take(const Proto& in) {
    Hold out;
    out.id = in.id();
    NOTP_ASSIGN(out.filter, Codec<DecisionFilter>::take(in.filter()));
    out.reason = in.reason();
    out.by = in.by();
    out.placed_ms = in.placed_ms();
    out.lifted_ms = in.lifted_ms();
    out.index = in.index();
    return out;
  }
};

template <>
struct Codec<HoldsPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(26, Codec<Hold>::kLayout, limits::kHoldsMax)};

  static Result<void> check(const HoldsPage& in) {
    return check_rows(in.rows, limits::kHoldsMax, "too many holds");
  }
  static bool is_in(const pb::Response& in) { return !in.holds().empty(); }
  static void put(pb::Response& out, const HoldsPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_rows_that_fit(*out.mutable_holds(), in.rows, room);
    out.set_more(in.more || !all);
  }
  static Result<HoldsPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<Hold>(in.holds()));
    return HoldsPage{std::move(rows), in.more()};
  }
};

template <>
struct Codec<HoldsRequest> {
  static constexpr FieldRule kFields[] = {rules::name(1)};
  static constexpr Layout kLayout{HoldsRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(23, kLayout)};

  static Result<void> check(const HoldsRequest& in) {
    return require(in.after.size() <= limits::kNameBytesMax, "the id is too long");
  }
  static bool is_in(const pb::Request& in) { return in.has_holds(); }
  static void put(pb::Request& envelope, const HoldsRequest& in) {
    envelope.mutable_holds()->set_after(clean_name(in.after));
  }
  static Result<HoldsRequest> take(const pb::Request& envelope) {
    return HoldsRequest{envelope.holds().after()};
  }
};

template <>
struct Codec<PutHold> {
  static constexpr FieldRule kFields[] = {rules::name(1),
                                          rules::message(2, Codec<DecisionFilter>::kLayout),
                                          rules::text(3), rules::flag(4)};
  static constexpr Layout kLayout{PutHold::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(24, kLayout)};

  static Result<void> check(const PutHold& in) {
    NOTP_TRY(check_id(in.id));
    NOTP_TRY(check_reason(in.reason));
    return Codec<DecisionFilter>::check(in.filter);
  }
  static bool is_in(const pb::Request& in) { return in.has_put_hold(); }
  static void put(pb::Request& envelope, const PutHold& in) {
    pb::PutHold& out = *envelope.mutable_put_hold();
    out.set_id(in.id);
    Codec<DecisionFilter>::put(*out.mutable_filter(), in.filter);
    out.set_reason(in.reason);
    out.set_lift(in.lift);
  }
  static Result<PutHold> take(const pb::Request& envelope) {
    const pb::PutHold& in = envelope.put_hold();
    PutHold out{in.id(), {}, in.reason(), in.lift()};
    NOTP_ASSIGN(out.filter, Codec<DecisionFilter>::take(in.filter()));
    return out;
  }
};

// --- erasure

template <>
struct Codec<EraseRequest> {
  static constexpr FieldRule kFields[] = {
      rules::message(1, Codec<DecisionFilter>::kLayout),
      rules::bytes(2, limits::kNameBytesMax, limits::kErasedIdsMax), rules::text(3), rules::flag(4),
      rules::bytes(5, limits::kCursorBytesMax)};
  static constexpr Layout kLayout{EraseRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(25, kLayout)};

  // Without any restriction it would erase everything: that is not asked for by leaving out.
  static Result<void> check(const EraseRequest& in) {
    NOTP_TRY(check_reason(in.reason));
    NOTP_TRY(check_cursor(in.cursor));
    NOTP_TRY(require(in.ids.size() <= limits::kErasedIdsMax, "too many decision ids"));
    for (const std::string& id : in.ids)
      NOTP_TRY(check_filter_text(id, limits::kNameBytesMax, "a decision id"));
    NOTP_TRY(require(!in.ids.empty() || in.filter != DecisionFilter(),
                     "nothing says which records to erase"));
    return Codec<DecisionFilter>::check(in.filter);
  }
  static bool is_in(const pb::Request& in) { return in.has_erase(); }
  static void put(pb::Request& envelope, const EraseRequest& in) {
    pb::EraseRequest& out = *envelope.mutable_erase();
    Codec<DecisionFilter>::put(*out.mutable_filter(), in.filter);
    for (const std::string& id : in.ids) out.add_ids(id);
    out.set_reason(in.reason);
    out.set_dry_run(in.dry_run);
    out.set_cursor(in.cursor);
  }
  static Result<EraseRequest> take(const pb::Request& envelope) {
    const pb::EraseRequest& in = envelope.erase();
    EraseRequest out;
    NOTP_ASSIGN(out.filter, Codec<DecisionFilter>::take(in.filter()));
    out.ids.assign(in.ids().begin(), in.ids().end());
    out.reason = in.reason();
    out.dry_run = in.dry_run();
    out.cursor = in.cursor();
    return out;
  }
};

template <>
struct Codec<Erased> {
  using Proto = pb::Erased;
  static constexpr FieldRule kFields[] = {rules::u64(1),  rules::u64(2),
                                          rules::u64(3),  rules::u64(4),
                                          rules::flag(5), rules::bytes(6, limits::kCursorBytesMax)};
  static constexpr Layout kLayout{Erased::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(27, kLayout)};

  static Result<void> check(const Erased& in) { return check_next(in.more, in.cursor); }
  static bool is_in(const pb::Response& in) { return in.has_erased(); }
  static void put(pb::Response& envelope, const Erased& in) {
    Proto& out = *envelope.mutable_erased();
    out.set_records(in.records);
    out.set_segments(in.segments);
    out.set_held(in.held);
    out.set_young(in.young);
    out.set_more(in.more);
    out.set_cursor(in.cursor);
  }
  static Result<Erased> take(const pb::Response& envelope) {
    const Proto& in = envelope.erased();
    return Erased{in.records(), in.segments(), in.held(), in.young(), in.more(), in.cursor()};
  }
};

template struct PartCodec<HoldsRequest, pb::Request>;
template struct PartCodec<HoldsPage, pb::Response>;
template struct PartCodec<PutHold, pb::Request>;
template struct PartCodec<EraseRequest, pb::Request>;
template struct PartCodec<Erased, pb::Response>;

}  // namespace notp::wire
