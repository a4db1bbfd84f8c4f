#include "protocol/wire/messages/lanes.hpp"

#include <algorithm>
#include <utility>

#include "protocol/wire/lane_limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {
namespace {

using feed::EventKey;
using feed::TokenId;

constexpr FieldRule id_rule(uint32_t number, size_t count_max = 1) {
  return rules::bytes(number, TokenId::kSize, count_max);
}
constexpr FieldRule lane_rule(uint32_t number) {
  return rules::bytes(number, limits::kLaneNameBytesMax);
}

Result<void> check_lane_name(std::string_view name) {
  return require(!name.empty() && name.size() <= limits::kLaneNameBytesMax,
                 "there is no lane, or its name is too long");
}

std::string id_bytes(const TokenId& id) { return std::string(id.view()); }

Result<TokenId> take_id(const std::string& in) {
  NOTP_ASSIGN(const TokenId id, TokenId::from_bytes(in));
  if (id.is_zero()) return bad("an id is zero");
  return id;
}

// Of an enum whose values are 1 … `last`.
template <typename Enum>
Result<Enum> take_enum(int in, Enum last, std::string_view what) {
  if (in < 1 || in > static_cast<int>(last)) return bad(what);
  return static_cast<Enum>(in);
}

}  // namespace

// --- between node and registry

template <>
struct Codec<LaneSubscribe> {
  using Proto = pb::LaneSubscribe;
  static constexpr FieldRule kFields[] = {lane_rule(1),
                                          rules::u32(2),
                                          id_rule(3),
                                          rules::u64(4),
                                          rules::u64(5),
                                          rules::flag(6),
                                          rules::bytes(7, EventKey::kSize)};
  static constexpr Layout kLayout{LaneSubscribe::kName, kFields};

  static Result<void> check(const LaneSubscribe& in) {
    NOTP_TRY(check_lane_name(in.lane));
    if (in.position)
      NOTP_TRY(require(!in.position->instance.is_zero() && in.position->grant != 0,
                       "a position without an instance or a grant"));
    return require(!in.after || (in.snapshot && in.position),
                   "`after` without a snapshot that has begun");
  }
  static void put(Proto& out, const LaneSubscribe& in) {
    out.set_lane(in.lane);
    out.set_mode(static_cast<pb::LaneMode>(in.mode));
    if (in.position) {
      out.set_instance(id_bytes(in.position->instance));
      out.set_grant(in.position->grant);
      out.set_revision(in.position->revision);
    }
    out.set_snapshot(in.snapshot);
    if (in.after) out.set_after(in.after->bytes());
  }
  static Result<LaneSubscribe> take(const Proto& in) {
    LaneSubscribe out{.lane = in.lane(), .snapshot = in.snapshot()};
    NOTP_ASSIGN(out.mode, take_enum(in.mode(), LaneMode::kAsk, "an unknown mode of a lane"));
    if (!in.instance().empty()) {
      out.position.emplace();
      NOTP_ASSIGN(out.position->instance, take_id(in.instance()));
      out.position->grant = in.grant();
      out.position->revision = in.revision();
    } else if (in.grant() != 0 || in.revision() != 0) {
      return bad("a position without an instance");
    }
    if (!in.after().empty()) {
      NOTP_ASSIGN(out.after, EventKey::from_bytes(in.after()));
    }
    return out;
  }
};

template <>
struct Codec<LaneState> {
  using Proto = pb::LaneState;
  static constexpr FieldRule kFields[] = {lane_rule(1),  rules::u32(2), rules::text(3), id_rule(4),
                                          rules::u64(5), rules::u64(6), rules::flag(7)};
  static constexpr Layout kLayout{LaneState::kName, kFields};

  static Result<void> check(const LaneState& in) {
    NOTP_TRY(check_lane_name(in.lane));
    return require((in.code == 0) == (!in.instance.is_zero() && in.grant != 0),
                   "a granted lane has an instance and a grant, a refused one has none");
  }
  static void put(Proto& out, const LaneState& in) {
    out.set_lane(in.lane);
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
    if (!in.instance.is_zero()) out.set_instance(id_bytes(in.instance));
    out.set_grant(in.grant);
    out.set_head(in.head);
    out.set_too_slow(in.too_slow);
  }
  static Result<LaneState> take(const Proto& in) {
    LaneState out{.lane = in.lane(), .code = in.code(), .message = in.message()};
    if (!in.instance().empty()) {
      NOTP_ASSIGN(out.instance, take_id(in.instance()));
    }
    out.grant = in.grant();
    out.head = in.head();
    out.too_slow = in.too_slow();
    return out;
  }
};

template <>
struct Codec<LaneStatement> {
  using Proto = pb::LaneStatement;
  static constexpr FieldRule kFields[] = {rules::u32(1), rules::flag(2),
                                          rules::bytes(3, limits::kLaneBodyBytesMax),
                                          rules::signature(4)};
  static constexpr Layout kLayout{LaneStatement::kName, kFields};

  static Result<void> check(const LaneStatement& in) {
    NOTP_TRY(
        require(!in.statement.body.empty() && in.statement.body.size() <= limits::kLaneBodyBytesMax,
                "the statement is empty or too long"));
    return check_signature(in.statement.signature);
  }
  static void put(Proto& out, const LaneStatement& in) {
    out.set_type(static_cast<pb::LaneStatementType>(in.statement.type));
    out.set_compressed(in.statement.compressed);
    out.set_body(in.statement.body);
    out.set_signature(in.statement.signature);
  }
  static Result<LaneStatement> take(const Proto& in) {
    LaneStatement out;
    NOTP_ASSIGN(out.statement.type, take_enum(in.type(), feed::StatementType::kAnswer,
                                              "an unknown type of a lane's statement"));
    out.statement.compressed = in.compressed();
    out.statement.body = in.body();
    out.statement.signature = in.signature();
    return out;
  }
};

template <>
struct Codec<LaneAsk> {
  using Proto = pb::LaneAsk;
  static constexpr FieldRule kFields[] = {id_rule(1, limits::kLaneAskIdsMax)};
  static constexpr Layout kLayout{LaneAsk::kName, kFields};

  static Result<void> check(const LaneAsk& in) {
    return require(!in.ids.empty() && in.ids.size() <= limits::kLaneAskIdsMax,
                   "no ids, or too many");
  }
  static void put(Proto& out, const LaneAsk& in) {
    for (const TokenId& id : in.ids) out.add_ids(id_bytes(id));
  }
  static Result<LaneAsk> take(const Proto& in) {
    LaneAsk out;
    for (const std::string& bytes : in.ids()) {
      NOTP_ASSIGN(const TokenId id, take_id(bytes));
      out.ids.push_back(id);
    }
    return out;
  }
};

template <>
struct Codec<LaneApplied> {
  using Proto = pb::LaneApplied;
  static constexpr FieldRule kFields[] = {rules::u64(1), rules::u32(2), rules::u64(3)};
  static constexpr Layout kLayout{LaneApplied::kName, kFields};

  static Result<void> check(const LaneApplied&) { return {}; }
  static void put(Proto& out, const LaneApplied& in) {
    out.set_revision(in.revision);
    out.set_age(static_cast<pb::LaneAge>(in.age));
    out.set_tokens(in.tokens);
  }
  static Result<LaneApplied> take(const Proto& in) {
    LaneApplied out{.revision = in.revision(), .tokens = in.tokens()};
    NOTP_ASSIGN(out.age, take_enum(in.age(), LaneAge::kStale, "an unknown age of a lane"));
    return out;
  }
};

// --- between registry and administrator

template <>
struct Codec<LaneSourceRow> {
  using Proto = pb::LaneSourceRow;
  static constexpr FieldRule kFields[] = {rules::name(1), rules::name(2), rules::u32(3),
                                          rules::u64(4),  rules::u64(5),  rules::u64(6),
                                          rules::u64(7),  rules::text(8), rules::text(9)};
  static constexpr Layout kLayout{"LaneSourceRow", kFields};

  static Result<void> check(const LaneSourceRow& in) {
    return require(in.event_ms >= 0 && in.contact_ms >= 0, "a time before 1970");
  }
  static void put(Proto& out, const LaneSourceRow& in) {
    out.set_name(clean_name(in.name));
    out.set_kind(clean_name(in.kind));
    out.set_state(static_cast<pb::IssuerState>(in.state));
    out.set_event_ms(in.event_ms);
    out.set_contact_ms(in.contact_ms);
    out.set_events(in.events);
    out.set_refused(in.refused);
    out.set_tells(clean_text(in.tells));
    out.set_message(clean_text(in.message));
  }
  static Result<LaneSourceRow> take(const Proto& in) {
    LaneSourceRow out{.name = in.name(), .kind = in.kind()};
    NOTP_ASSIGN(out.state,
                take_enum(in.state(), IssuerState::kSuspect, "an unknown state of a source"));
    out.event_ms = in.event_ms();
    out.contact_ms = in.contact_ms();
    out.events = in.events();
    out.refused = in.refused();
    out.tells = in.tells();
    out.message = in.message();
    return out;
  }
};

template <>
struct Codec<LaneRow> {
  using Proto = pb::LaneRow;
  static constexpr FieldRule kFields[] = {
      lane_rule(1),
      id_rule(2),
      rules::u64(3),
      rules::u64(4),
      rules::u64(5),
      rules::u64(6),
      rules::u64(7),
      rules::u64(8),
      rules::u64(9),
      rules::u64(10),
      rules::u64(11),
      rules::u64(12),
      rules::u64(13),
      rules::u64(14),
      rules::message(15, Codec<LaneSourceRow>::kLayout, limits::kLaneSourcesMax)};
  static constexpr Layout kLayout{"LaneRow", kFields};

  static Result<void> check(const LaneRow& in) {
    NOTP_TRY(check_lane_name(in.lane));
    return check_rows(in.sources, limits::kLaneSourcesMax, "too many sources");
  }
  static void put(Proto& out, const LaneRow& in) {
    out.set_lane(in.lane);
    if (!in.instance.is_zero()) out.set_instance(id_bytes(in.instance));
    out.set_revision(in.revision);
    out.set_tokens(in.tokens);
    out.set_deleted(in.deleted);
    out.set_marks(in.marks);
    out.set_lists(in.lists);
    out.set_bytes(in.bytes);
    out.set_tokens_max(in.tokens_max);
    out.set_nodes(in.nodes);
    out.set_too_slow(in.too_slow);
    out.set_applied_min(in.applied_min);
    out.set_events(in.events);
    out.set_refused(in.refused);
    put_rows(*out.mutable_sources(), in.sources);
  }
  static Result<LaneRow> take(const Proto& in) {
    LaneRow out{.lane = in.lane()};
    if (!in.instance().empty()) {
      NOTP_ASSIGN(out.instance, take_id(in.instance()));
    }
    out.revision = in.revision();
    out.tokens = in.tokens();
    out.deleted = in.deleted();
    out.marks = in.marks();
    out.lists = in.lists();
    out.bytes = in.bytes();
    out.tokens_max = in.tokens_max();
    out.nodes = in.nodes();
    out.too_slow = in.too_slow();
    out.applied_min = in.applied_min();
    out.events = in.events();
    out.refused = in.refused();
    NOTP_ASSIGN(out.sources, take_rows<LaneSourceRow>(in.sources()));
    return out;
  }
};

template <>
struct Codec<LanesRequest> {
  static constexpr FieldRule kFields[] = {lane_rule(1)};
  static constexpr Layout kLayout{LanesRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(29, kLayout)};

  static Result<void> check(const LanesRequest& in) {
    return require(in.lane.size() <= limits::kLaneNameBytesMax, "the name is too long");
  }
  static bool is_in(const pb::Request& in) { return in.has_lanes(); }
  static void put(pb::Request& envelope, const LanesRequest& in) {
    envelope.mutable_lanes()->set_lane(in.lane);
  }
  static Result<LanesRequest> take(const pb::Request& envelope) {
    return LanesRequest{envelope.lanes().lane()};
  }
};

template <>
struct Codec<LanesPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(29, Codec<LaneRow>::kLayout, limits::kLanesMax)};

  static Result<void> check(const LanesPage& in) {
    return check_rows(in.rows, limits::kLanesMax, "too many lanes");
  }
  static bool is_in(const pb::Response& in) { return !in.lanes().empty(); }
  static void put(pb::Response& out, const LanesPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_rows_that_fit(*out.mutable_lanes(), in.rows, room);
    out.set_more(in.more || !all);
  }
  static Result<LanesPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<LaneRow>(in.lanes()));
    return LanesPage{std::move(rows), in.more()};
  }
};

template <>
struct Codec<RevokeTokens> {
  static constexpr FieldRule kFields[] = {lane_rule(1),
                                          id_rule(2),
                                          rules::u32(3),
                                          rules::bytes(4, limits::kMarkTextBytesMax),
                                          rules::bytes(5, limits::kMarkTextBytesMax),
                                          rules::u64(6),
                                          rules::u64(7)};
  static constexpr Layout kLayout{RevokeTokens::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(30, kLayout)};

  static Result<void> check(const RevokeTokens& in) {
    NOTP_TRY(check_lane_name(in.lane));
    NOTP_TRY(require(!(in.id && in.mark), "a token and a mark in one request"));
    NOTP_TRY(require((in.id || in.mark) == (in.revision == 0),
                     "a revocation, or a revision that is asked about"));
    if (!in.mark) return {};
    NOTP_TRY(require(in.mark->not_before_s >= 0 && in.mark->not_before_s <= feed::kAnyIssueTime,
                     "not_before is out of range"));
    const auto is_good = [](const std::string& text) {
      return !text.empty() && text.size() <= limits::kMarkTextBytesMax;
    };
    return require(is_good(in.mark->issuer) && is_good(in.mark->value),
                   "a mark without an issuer or a value, or one that is too long");
  }
  static bool is_in(const pb::Request& in) { return in.has_revoke_tokens(); }
  static void put(pb::Request& envelope, const RevokeTokens& in) {
    pb::RevokeTokens& out = *envelope.mutable_revoke_tokens();
    out.set_lane(in.lane);
    if (in.id) out.set_id(id_bytes(*in.id));
    if (in.mark) {
      out.set_mark(static_cast<uint32_t>(in.mark->kind) + 1);
      out.set_issuer(in.mark->issuer);
      out.set_value(in.mark->value);
      out.set_not_before(in.mark->not_before_s);
    }
    out.set_revision(in.revision);
  }
  static Result<RevokeTokens> take(const pb::Request& envelope) {
    const pb::RevokeTokens& in = envelope.revoke_tokens();
    RevokeTokens out{.lane = in.lane()};
    if (!in.id().empty()) {
      NOTP_ASSIGN(out.id, take_id(in.id()));
    }
    if (in.mark() > static_cast<uint32_t>(feed::MarkKind::kTransaction) + 1)
      return bad("an unknown kind of a mark");
    if (in.mark() != 0)
      out.mark = MarkTarget{static_cast<feed::MarkKind>(in.mark() - 1), in.issuer(), in.value(),
                            in.not_before()};
    out.revision = in.revision();
    return out;
  }
};

template <>
struct Codec<LaneChange> {
  static constexpr FieldRule kFields[] = {rules::u64(1), rules::u64(2), rules::u64(3)};
  static constexpr Layout kLayout{LaneChange::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(30, kLayout)};

  static Result<void> check(const LaneChange& in) {
    return require(in.applied <= in.nodes, "more nodes have applied it than there are");
  }
  static bool is_in(const pb::Response& in) { return in.has_lane_change(); }
  static void put(pb::Response& envelope, const LaneChange& in) {
    pb::LaneChange& out = *envelope.mutable_lane_change();
    out.set_revision(in.revision);
    out.set_nodes(in.nodes);
    out.set_applied(in.applied);
  }
  static Result<LaneChange> take(const pb::Response& envelope) {
    const pb::LaneChange& in = envelope.lane_change();
    return LaneChange{in.revision(), in.nodes(), in.applied()};
  }
};

template <>
struct Codec<ShowToken> {
  static constexpr FieldRule kFields[] = {lane_rule(1), id_rule(2)};
  static constexpr Layout kLayout{ShowToken::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(31, kLayout)};

  static Result<void> check(const ShowToken& in) { return check_lane_name(in.lane); }
  static bool is_in(const pb::Request& in) { return in.has_show_token(); }
  static void put(pb::Request& envelope, const ShowToken& in) {
    envelope.mutable_show_token()->set_lane(in.lane);
    envelope.mutable_show_token()->set_id(id_bytes(in.id));
  }
  static Result<ShowToken> take(const pb::Request& envelope) {
    ShowToken out{.lane = envelope.show_token().lane()};
    NOTP_ASSIGN(out.id, take_id(envelope.show_token().id()));
    return out;
  }
};

template <>
struct Codec<TokenRow> {
  static constexpr FieldRule kFields[] = {rules::u32(1), rules::u64(2), rules::name(3),
                                          rules::u64(4),
                                          rules::bytes(5, limits::kTokenAttributesBytesMax)};
  static constexpr Layout kLayout{TokenRow::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(31, kLayout)};

  static Result<void> check(const TokenRow& in) {
    NOTP_TRY(require(in.until_s >= 0, "a time before 1970"));
    return require(in.attributes.size() <= limits::kTokenAttributesBytesMax,
                   "the attributes are too long");
  }
  static bool is_in(const pb::Response& in) { return in.has_token(); }
  static void put(pb::Response& envelope, const TokenRow& in) {
    pb::TokenRow& out = *envelope.mutable_token();
    out.set_state(static_cast<uint32_t>(in.state));
    out.set_revision(in.revision);
    out.set_source(clean_name(in.source));
    out.set_until(in.until_s);
    out.set_attributes(in.attributes);
  }
  static Result<TokenRow> take(const pb::Response& envelope) {
    const pb::TokenRow& in = envelope.token();
    TokenRow out{.revision = in.revision(), .source = in.source()};
    if (in.state() > static_cast<uint32_t>(TokenState::kUnknown) || in.state() == 0)
      return bad("an unknown state of a token");
    out.state = static_cast<TokenState>(in.state());
    out.until_s = in.until();
    out.attributes = in.attributes();
    return out;
  }
};

template struct MessageCodec<LaneSubscribe>;
template struct MessageCodec<LaneState>;
template struct MessageCodec<LaneStatement>;
template struct MessageCodec<LaneAsk>;
template struct MessageCodec<LaneApplied>;
template struct PartCodec<LanesRequest, pb::Request>;
template struct PartCodec<RevokeTokens, pb::Request>;
template struct PartCodec<ShowToken, pb::Request>;
template struct PartCodec<LanesPage, pb::Response>;
template struct PartCodec<LaneChange, pb::Response>;
template struct PartCodec<TokenRow, pb::Response>;

}  // namespace notp::wire
