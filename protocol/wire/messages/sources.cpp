#include "protocol/wire/messages/sources.hpp"

#include <algorithm>

#include "protocol/wire/part_codec.hpp"
#include "protocol/wire/source_limits.hpp"
#include "protocol/wire/source_names.hpp"

namespace notp::wire {
namespace {

Result<void> check_issuer_name(std::string_view name) {
  return require(!name.empty() && name.size() <= limits::kIssuerNameBytesMax,
                 "there is no issuer, or its name is too long");
}

Result<void> check_times(std::initializer_list<TimeMs> times) {
  return require(std::ranges::all_of(times, [](TimeMs time_ms) { return time_ms >= 0; }),
                 "a time before 1970");
}

Result<IssuerState> take_issuer_state(pb::IssuerState in) {
  switch (in) {
    case pb::ISSUER_OK:
    case pb::ISSUER_LATE:
    case pb::ISSUER_FAILING:
    case pb::ISSUER_SUSPECT:
      return static_cast<IssuerState>(in);
    default:
      return bad("an unknown state of an issuer");
  }
}

}  // namespace

std::string_view source_state_name(IssuerState state) {
  switch (state) {
    case IssuerState::kOk:
      return "ok";
    case IssuerState::kLate:
      return "late";
    case IssuerState::kFailing:
      return "failing";
    case IssuerState::kSuspect:
      return "suspect";
  }
  return "unknown";
}

// --- between registry and node

template <>
struct Codec<UnknownKey> {
  using Proto = pb::UnknownKey;
  static constexpr FieldRule kFields[] = {rules::bytes(1, limits::kIssuerBytesMax),
                                          rules::bytes(2, limits::kKidBytesMax)};
  static constexpr Layout kLayout{UnknownKey::kName, kFields};

  static Result<void> check(const UnknownKey& in) {
    NOTP_TRY(require(!in.issuer.empty() && in.issuer.size() <= limits::kIssuerBytesMax,
                     "there is no issuer, or it is too long"));
    return require(!in.kid.empty() && in.kid.size() <= limits::kKidBytesMax,
                   "there is no kid, or it is too long");
  }
  static void put(Proto& out, const UnknownKey& in) {
    out.set_issuer(in.issuer);
    out.set_kid(in.kid);
  }
  static Result<UnknownKey> take(const Proto& in) { return UnknownKey{in.issuer(), in.kid()}; }
};

template <>
struct Codec<IssuerStatus> {
  using Proto = pb::IssuerStatus;
  static constexpr FieldRule kFields[] = {
      rules::bytes(1, limits::kIssuerNameBytesMax), rules::bytes(2, limits::kIssuerBytesMax),
      rules::message(3, Codec<model::LedgerId>::kLayout), rules::u32(4), rules::u64(5)};
  static constexpr Layout kLayout{"IssuerStatus", kFields};

  static Result<void> check(const IssuerStatus& in) {
    NOTP_TRY(check_issuer_name(in.name));
    NOTP_TRY(require(!in.issuer.empty() && in.issuer.size() <= limits::kIssuerBytesMax,
                     "there is no issuer, or it is too long"));
    NOTP_TRY(check_times({in.good_ms}));
    return check_ledger(in.ledger);
  }
  static void put(Proto& out, const IssuerStatus& in) {
    out.set_name(in.name);
    out.set_issuer(in.issuer);
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_state(static_cast<pb::IssuerState>(in.state));
    out.set_good_ms(in.good_ms);
  }
  static Result<IssuerStatus> take(const Proto& in) {
    IssuerStatus out{in.name(), in.issuer(), {}, IssuerState::kOk, in.good_ms()};
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    NOTP_ASSIGN(out.state, take_issuer_state(in.state()));
    return out;
  }
};

template <>
struct Codec<SourceStatus> {
  using Proto = pb::SourceStatus;
  static constexpr FieldRule kFields[] = {
      rules::message(1, Codec<IssuerStatus>::kLayout, limits::kIssuersMax)};
  static constexpr Layout kLayout{SourceStatus::kName, kFields};

  static Result<void> check(const SourceStatus& in) {
    NOTP_TRY(require(std::ranges::adjacent_find(in.issuers, std::ranges::greater_equal{},
                                                &IssuerStatus::name) == in.issuers.end(),
                     "issuers are not in ascending order"));
    return check_rows(in.issuers, limits::kIssuersMax, "too many issuers");
  }
  static void put(Proto& out, const SourceStatus& in) {
    put_rows(*out.mutable_issuers(), in.issuers);
  }
  static Result<SourceStatus> take(const Proto& in) {
    NOTP_ASSIGN(auto issuers, take_rows<IssuerStatus>(in.issuers()));
    return SourceStatus{std::move(issuers)};
  }
};

// --- between registry and administrator

template <>
struct Codec<SourcesRequest> {
  static constexpr FieldRule kFields[] = {rules::bytes(1, limits::kIssuerNameBytesMax)};
  static constexpr Layout kLayout{SourcesRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(27, kLayout)};

  static Result<void> check(const SourcesRequest& in) {
    return require(in.name.size() <= limits::kIssuerNameBytesMax, "the name is too long");
  }
  static bool is_in(const pb::Request& in) { return in.has_sources(); }
  static void put(pb::Request& envelope, const SourcesRequest& in) {
    envelope.mutable_sources()->set_name(in.name);
  }
  static Result<SourcesRequest> take(const pb::Request& envelope) {
    return SourcesRequest{envelope.sources().name()};
  }
};

template <>
struct Codec<RefreshSource> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::bytes(2, limits::kIssuerNameBytesMax)};
  static constexpr Layout kLayout{RefreshSource::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(28, kLayout)};

  static Result<void> check(const RefreshSource& in) {
    NOTP_TRY(check_ledger(in.ledger));
    return check_issuer_name(in.name);
  }
  static bool is_in(const pb::Request& in) { return in.has_refresh_source(); }
  static void put(pb::Request& envelope, const RefreshSource& in) {
    pb::RefreshSource& out = *envelope.mutable_refresh_source();
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_name(in.name);
  }
  static Result<RefreshSource> take(const pb::Request& envelope) {
    const pb::RefreshSource& in = envelope.refresh_source();
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return RefreshSource{std::move(ledger), in.name()};
  }
};

template <>
struct Codec<SourceRow> {
  using Proto = pb::SourceRow;
  static constexpr FieldRule kFields[] = {
      rules::message(1, Codec<IssuerStatus>::kLayout),
      rules::u64(2),
      rules::u64(3),
      rules::u32(4),
      rules::text(5),
      rules::u64(6),
      rules::u64(7),
      rules::u64(8),
      rules::bytes(9, limits::kSourceUrlBytesMax),
      rules::bytes(10, limits::kKidBytesMax, limits::kIssuerKeysMax)};
  static constexpr Layout kLayout{"SourceRow", kFields};

  static Result<void> check(const SourceRow& in) {
    NOTP_TRY(Codec<IssuerStatus>::check(in.status));
    NOTP_TRY(check_times({in.fetched_ms, in.next_ms}));
    NOTP_TRY(require(in.jwks_uri.size() <= limits::kSourceUrlBytesMax, "the URL is too long"));
    NOTP_TRY(require(in.kids.size() <= limits::kIssuerKeysMax, "an issuer has too many keys"));
    return require(
        std::ranges::all_of(
            in.kids, [](const std::string& kid) { return kid.size() <= limits::kKidBytesMax; }),
        "a kid is too long");
  }
  static void put(Proto& out, const SourceRow& in) {
    Codec<IssuerStatus>::put(*out.mutable_status(), in.status);
    out.set_fetched_ms(in.fetched_ms);
    out.set_next_ms(in.next_ms);
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
    out.set_version(in.version);
    out.set_fetches(in.fetches);
    out.set_unknown_keys(in.unknown_keys);
    out.set_jwks_uri(in.jwks_uri);
    out.mutable_kids()->Assign(in.kids.begin(), in.kids.end());
  }
  static Result<SourceRow> take(const Proto& in) {
    SourceRow out;
    if (!in.has_status()) return bad("a source without a status");
    NOTP_ASSIGN(out.status, Codec<IssuerStatus>::take(in.status()));
    out.fetched_ms = in.fetched_ms();
    out.next_ms = in.next_ms();
    out.code = in.code();
    out.message = in.message();
    out.version = in.version();
    out.fetches = in.fetches();
    out.unknown_keys = in.unknown_keys();
    out.jwks_uri = in.jwks_uri();
    out.kids.assign(in.kids().begin(), in.kids().end());
    return out;
  }
};

template <>
struct Codec<SourcesPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(28, Codec<SourceRow>::kLayout, limits::kIssuersMax)};

  static Result<void> check(const SourcesPage& in) {
    return check_rows(in.rows, limits::kIssuersMax, "too many sources");
  }
  static bool is_in(const pb::Response& in) { return !in.sources().empty(); }
  static void put(pb::Response& out, const SourcesPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_rows_that_fit(*out.mutable_sources(), in.rows, room);
    out.set_more(in.more || !all);
  }
  static Result<SourcesPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<SourceRow>(in.sources()));
    return SourcesPage{std::move(rows), in.more()};
  }
};

template struct MessageCodec<UnknownKey>;
template struct MessageCodec<SourceStatus>;
template struct PartCodec<SourcesRequest, pb::Request>;
template struct PartCodec<RefreshSource, pb::Request>;
template struct PartCodec<SourcesPage, pb::Response>;

}  // namespace notp::wire
