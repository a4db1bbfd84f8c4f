#include "protocol/wire/messages/freshness.hpp"

#include <algorithm>
#include <functional>

#include "common/limits.hpp"
#include "protocol/wire/message_codec.hpp"

namespace notp::wire {

template <>
struct Codec<RootUpdate> {
  using Proto = pb::RootUpdate;
  static constexpr FieldRule kFields[] = {rules::envelope(1)};
  static constexpr Layout kLayout{RootUpdate::kName, kFields};

  static Result<void> check(const RootUpdate& in) { return check_envelope(in.envelope); }
  static void put(Proto& out, const RootUpdate& in) { out.set_envelope(in.envelope); }
  static Result<RootUpdate> take(const Proto& in) { return RootUpdate{in.envelope()}; }
};

template <>
struct Codec<FreshnessHead> {
  using Proto = pb::FreshnessHead;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2), rules::u64(3), rules::hash(4),
                                          rules::hash(5, limits::kWithdrawnMax)};
  static constexpr Layout kLayout{"FreshnessHead", kFields};

  static Result<void> check(const FreshnessHead& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_release_or_none(in.version, "head version"));
    NOTP_TRY(require(in.release_hash.is_zero() == (in.version == 0),
                     "a head has a release hash exactly when it has a release"));
    NOTP_TRY(require(in.epoch <= limits::kVersionMax, "an epoch is out of range"));
    NOTP_TRY(require(in.version != 0 || (in.epoch == 0 && in.withdrawn.empty()),
                     "a head without a release has an epoch, or withdrawn ones"));
    return check_withdrawn(in.withdrawn);
  }
  static void put(Proto& out, const FreshnessHead& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_epoch(in.epoch);
    out.set_version(in.version);
    out.set_release_hash(hash_bytes_if_set(in.release_hash));
    for (const Hash& withdrawn : in.withdrawn) out.add_withdrawn(hash_bytes(withdrawn));
  }
  static Result<FreshnessHead> take(const Proto& in) {
    FreshnessHead out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    out.epoch = in.epoch();
    out.version = in.version();
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    NOTP_ASSIGN(out.withdrawn, take_hashes(in.withdrawn()));
    return out;
  }

 private:
  static Result<void> check_withdrawn(const std::vector<Hash>& withdrawn) {
    NOTP_TRY(require(withdrawn.size() <= limits::kWithdrawnMax, "too many withdrawn releases"));
    NOTP_TRY(require(withdrawn.empty() || !withdrawn.front().is_zero(),
                     "a withdrawn release has no hash"));
    return require(std::ranges::adjacent_find(withdrawn, std::greater_equal{}) == withdrawn.end(),
                   "withdrawn releases are not in ascending order");
  }
};

template <>
struct Codec<FreshnessUpdate> {
  using Proto = pb::FreshnessUpdate;
  static constexpr FieldRule kFields[] = {
      rules::u64(1),
      rules::u64(2),
      rules::u64(3),
      rules::u64(4),
      rules::u64(5),
      rules::message(6, Codec<FreshnessHead>::kLayout, limits::kLedgersPerSessionMax),
      rules::message(7, Codec<model::LedgerId>::kLayout, limits::kLedgersPerSessionMax),
      rules::signature(8),
      rules::flag(9)};
  static constexpr Layout kLayout{FreshnessUpdate::kName, kFields};

  static Result<void> check(const FreshnessUpdate& in) {
    NOTP_TRY(check_numbers(in));
    NOTP_TRY(check_rows(in.heads, limits::kLedgersPerSessionMax, "too many heads"));
    NOTP_TRY(check_rows(in.gone, limits::kLedgersPerSessionMax, "too many heads are gone"));
    std::vector<model::LedgerId> named = in.gone;
    for (const FreshnessHead& head : in.heads) named.push_back(head.ledger);
    std::ranges::sort(named);
    NOTP_TRY(require(std::ranges::adjacent_find(named) == named.end(), "a ledger comes twice"));
    return check_signature(in.signature);
  }
  static void put(Proto& out, const FreshnessUpdate& in) {
    out.set_sequence(in.sequence);
    out.set_base_sequence(in.base_sequence);
    out.set_issued_ms(in.issued_ms);
    out.set_lifetime_ms(in.lifetime_ms);
    out.set_root_version(in.root_version);
    put_rows(*out.mutable_heads(), in.heads);
    put_rows(*out.mutable_gone(), in.gone);
    out.set_signature(in.signature);
    out.set_of_class(in.of_class);
  }
  static Result<FreshnessUpdate> take(const Proto& in) {
    FreshnessUpdate out;
    out.sequence = in.sequence();
    out.base_sequence = in.base_sequence();
    out.issued_ms = in.issued_ms();
    out.lifetime_ms = in.lifetime_ms();
    out.root_version = in.root_version();
    NOTP_ASSIGN(out.heads, take_rows<FreshnessHead>(in.heads()));
    NOTP_ASSIGN(out.gone, take_rows<model::LedgerId>(in.gone()));
    out.signature = in.signature();
    out.of_class = in.of_class();
    return out;
  }

 private:
  static Result<void> check_numbers(const FreshnessUpdate& in) {
    NOTP_TRY(require(in.sequence <= limits::kVersionMax, "a sequence is out of range"));
    NOTP_TRY(require(in.root_version <= limits::kVersionMax, "a root version is out of range"));
    NOTP_TRY(require(in.base_sequence < in.sequence, "a sequence is not above its base's"));
    NOTP_TRY(require(in.base_sequence != 0 || (in.root_version != 0 && in.gone.empty()),
                     "a statement without a base lacks a root version, or takes heads away"));
    NOTP_TRY(
        require(in.issued_ms > 0 && in.issued_ms <= limits::kTimestampMsMax, "no such instant"));
    return require(in.lifetime_ms > 0 &&
                       in.lifetime_ms <= static_cast<uint64_t>(limits::kFreshnessLifetimeMsMax),
                   "a lifetime is outside its limit");
  }
};

template <>
struct Codec<Assignment> {
  using Proto = pb::Assignment;
  static constexpr FieldRule kFields[] = {rules::envelope(1)};
  static constexpr Layout kLayout{Assignment::kName, kFields};

  static Result<void> check(const Assignment& in) { return check_envelope(in.envelope); }
  static void put(Proto& out, const Assignment& in) { out.set_envelope(in.envelope); }
  static Result<Assignment> take(const Proto& in) { return Assignment{in.envelope()}; }
};

template struct MessageCodec<Assignment>;
template struct MessageCodec<RootUpdate>;
template struct MessageCodec<FreshnessUpdate>;

}  // namespace notp::wire
