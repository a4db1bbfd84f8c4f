#include "protocol/wire/messages/trust.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {

// --- roots

template <>
struct Codec<RootsRequest> {
  static constexpr FieldRule kFields[] = {rules::u64(1)};
  static constexpr Layout kLayout{RootsRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(5, kLayout)};

  static Result<void> check(const RootsRequest&) { return {}; }
  static bool is_in(const pb::Request& in) { return in.has_roots(); }
  static void put(pb::Request& out, const RootsRequest& in) {
    out.mutable_roots()->set_after_version(in.after_version);
  }
  static Result<RootsRequest> take(const pb::Request& in) {
    return RootsRequest{in.roots().after_version()};
  }
};

template <>
struct Codec<RootsPage> {
  static constexpr FieldRule kPart[] = {rules::envelope(8, limits::kRootStepsMax)};

  static Result<void> check(const RootsPage& in) { return check_roots(in.root_chain); }
  static bool is_in(const pb::Response& in) { return !in.roots().empty(); }
  static void put(pb::Response& out, const RootsPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_envelopes_that_fit(*out.mutable_roots(), in.root_chain, room);
    out.set_more(in.more || !all);
  }
  static Result<RootsPage> take(const pb::Response& in) {
    return RootsPage{{in.roots().begin(), in.roots().end()}, in.more()};
  }
};

template <>
struct Codec<PublishRoot> {
  static constexpr FieldRule kFields[] = {rules::envelope(1)};
  static constexpr Layout kLayout{PublishRoot::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(6, kLayout)};

  static Result<void> check(const PublishRoot& in) { return check_envelope(in.envelope); }
  static bool is_in(const pb::Request& in) { return in.has_publish_root(); }
  static void put(pb::Request& out, const PublishRoot& in) {
    out.mutable_publish_root()->set_envelope(in.envelope);
  }
  static Result<PublishRoot> take(const pb::Request& in) {
    return PublishRoot{in.publish_root().envelope()};
  }
};

// --- the registry's setup

template <>
struct Codec<TrustRequest> {
  static constexpr Layout kLayout{TrustRequest::kName, {}};
  static constexpr FieldRule kPart[] = {rules::message(11, kLayout)};

  static Result<void> check(const TrustRequest&) { return {}; }
  static bool is_in(const pb::Request& in) { return in.has_trust(); }
  static void put(pb::Request& out, const TrustRequest&) { out.mutable_trust(); }
  static Result<TrustRequest> take(const pb::Request&) { return TrustRequest{}; }
};

template <>
struct Codec<TrustRow> {
  static constexpr FieldRule kFields[] = {rules::u64(1),
                                          rules::message(2, Codec<model::LedgerId>::kLayout),
                                          rules::u64(3), rules::identity(4)};
  static constexpr Layout kLayout{"TrustRow", kFields};
  static constexpr FieldRule kPart[] = {rules::message(11, kLayout)};

  static Result<void> check(const TrustRow& in) {
    return in.deny_list ? check_ledger(*in.deny_list) : Result<void>{};
  }
  static bool is_in(const pb::Response& in) { return in.has_trust(); }
  static void put(pb::Response& envelope, const TrustRow& in) {
    pb::TrustRow& out = *envelope.mutable_trust();
    out.set_root_version(in.root_version);
    if (in.deny_list) wire::put(out.mutable_deny_list(), *in.deny_list);
    out.set_freshness_interval_ms(in.freshness_interval_ms);
    out.set_enroll_address(clean_identity(in.enroll_address));
  }
  static Result<TrustRow> take(const pb::Response& envelope) {
    const pb::TrustRow& in = envelope.trust();
    TrustRow out;
    out.root_version = in.root_version();
    if (in.has_deny_list()) out.deny_list = ledger_of(in.deny_list());
    out.freshness_interval_ms = in.freshness_interval_ms();
    out.enroll_address = in.enroll_address();
    return out;
  }
};

template struct PartCodec<RootsRequest, pb::Request>;
template struct PartCodec<RootsPage, pb::Response>;
template struct PartCodec<PublishRoot, pb::Request>;
template struct PartCodec<TrustRequest, pb::Request>;
template struct PartCodec<TrustRow, pb::Response>;

}  // namespace notp::wire
