#include "protocol/wire/messages/transfer.hpp"

#include "common/limits.hpp"
#include "protocol/wire/message_codec.hpp"
#include "protocol/wire/messages/inventory.hpp"

namespace notp::wire {

template <>
struct Codec<PartialBase> {
  using Proto = pb::PartialBase;
  static constexpr FieldRule kFields[] = {rules::hash(1),
                                          rules::bytes(2, limits::kInventoryLeavesMax* kLeafBytes)};
  static constexpr Layout kLayout{"PartialBase", kFields};

  static Result<void> check(const PartialBase& in) {
    NOTP_TRY(require(!in.content_root.is_zero(), "a partial base has no content root"));
    return require(in.excluded_leaves.size() % kLeafBytes == 0, "a leaf is not 8 bytes long");
  }
  static void put(Proto& out, const PartialBase& in) {
    out.set_content_root(hash_bytes(in.content_root));
    out.set_excluded_leaves(in.excluded_leaves);
  }
  static Result<PartialBase> take(const Proto& in) {
    PartialBase out{{}, in.excluded_leaves()};
    NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
    return out;
  }
};

template <>
struct Codec<Offer> {
  using Proto = pb::Offer;
  static constexpr FieldRule kFields[] = {rules::u32(1),
                                          rules::message(2, Codec<model::LedgerId>::kLayout),
                                          rules::u64(3),
                                          rules::message(4, Codec<Base>::kLayout),
                                          rules::hash(5),
                                          rules::u64(6),
                                          rules::u64(7),
                                          rules::hash(8),
                                          rules::u32(9),
                                          rules::u64(10),
                                          rules::message(11, Codec<PartialBase>::kLayout),
                                          rules::u32(12),
                                          rules::bytes(13, TraceContext::kSize)};
  static constexpr Layout kLayout{Offer::kName, kFields};

  static Result<void> check(const Offer& in) {
    NOTP_TRY(check_release(in.version, "offered version"));
    NOTP_TRY(in.is_short() ? check_short(in) : check_named(in));
    NOTP_TRY(require(in.size <= limits::kArtifactBytesMax, "the artifact is too large"));
    return require(in.offset <= in.size, "the offset is past the artifact's end");
  }
  static void put(Proto& out, const Offer& in) {
    out.set_stream(in.stream);
    if (!in.is_short()) wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
    if (in.base) Codec<Base>::put(*out.mutable_base(), *in.base);
    out.set_artifact(hash_bytes_if_set(in.artifact));
    out.set_size(in.size);
    out.set_offset(in.offset);
    out.set_content_root(hash_bytes_if_set(in.content_root));
    out.set_subscription(in.subscription);
    out.set_base_distance(in.base_distance);
    if (in.partial) Codec<PartialBase>::put(*out.mutable_partial(), *in.partial);
    out.set_encoding_tier(in.encoding_tier);
    if (in.trace) out.set_trace(in.trace->bytes());
  }
  static Result<Offer> take(const Proto& in) {
    Offer out;
    out.stream = in.stream();
    NOTP_ASSIGN(out.ledger, take_ledger_if_named(in));
    out.version = in.version();
    NOTP_ASSIGN(out.base, take_base(in));
    NOTP_ASSIGN(out.artifact, take_hash(in.artifact()));
    out.size = in.size();
    out.offset = in.offset();
    NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
    out.subscription = in.subscription();
    out.base_distance = in.base_distance();
    if (in.has_partial()) {
      NOTP_ASSIGN(out.partial, Codec<PartialBase>::take(in.partial()));
    }
    out.encoding_tier = in.encoding_tier();
    NOTP_ASSIGN(out.trace, take_trace(in.trace()));
    return out;
  }

 private:
  static Result<void> check_named(const Offer& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(require(in.subscription == 0 && in.base_distance == 0,
                     "an offer with a ledger and for a subscription"));
    if (in.base) NOTP_TRY(Codec<Base>::check(*in.base));
    NOTP_TRY(require(!in.artifact.is_zero(), "no artifact id"));
    return in.partial ? Codec<PartialBase>::check(*in.partial) : Result<void>{};
  }
  static Result<void> check_short(const Offer& in) {
    NOTP_TRY(require(!in.base && !in.partial && in.content_root.is_zero(),
                     "an offer for a subscription with what its reader has"));
    NOTP_TRY(require(in.base_distance < in.version, "the base is before the first release"));
    return require(in.offset == 0 || !in.artifact.is_zero(), "no artifact id with an offset");
  }
};

template <>
struct Codec<Commit> {
  using Proto = pb::Commit;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2),
                                          rules::u32(3),
                                          rules::u32(4),
                                          rules::text(5),
                                          rules::hash(6),
                                          rules::u32(7),
                                          rules::u32(8)};
  static constexpr Layout kLayout{Commit::kName, kFields};

  static Result<void> check(const Commit& in) {
    if (!in.is_short()) {
      NOTP_TRY(check_ledger(in.ledger));
      NOTP_TRY(require(in.subscription == 0, "a report with a ledger and of a subscription"));
    }
    return check_release(in.version, "committed version");
  }
  static void put(Proto& out, const Commit& in) {
    if (!in.is_short()) wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
    out.set_state(static_cast<pb::Commit::State>(in.state));
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
    out.set_content_root(hash_bytes_if_set(in.content_root));
    if (in.freshness) out.set_freshness(static_cast<pb::FreshnessState>(*in.freshness));
    out.set_subscription(in.subscription);
  }
  static Result<Commit> take(const Proto& in) {
    Commit out;
    NOTP_ASSIGN(out.ledger, take_ledger_if_named(in));
    out.version = in.version();
    NOTP_ASSIGN(out.state, take_state(in.state()));
    out.code = in.code();
    out.message = in.message();
    NOTP_ASSIGN(out.content_root, take_hash(in.content_root()));
    if (in.has_freshness()) {
      NOTP_ASSIGN(out.freshness, take_freshness(in.freshness()));
    }
    out.subscription = in.subscription();
    return out;
  }
};

template struct MessageCodec<Offer>;
template struct MessageCodec<Commit>;

}  // namespace notp::wire
