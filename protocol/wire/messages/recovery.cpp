#include "protocol/wire/messages/recovery.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {
namespace {

Result<void> check_envelopes(const std::vector<Bytes>& envelopes) {
  NOTP_TRY(require(envelopes.size() <= limits::kHeldEnvelopesMax, "too many envelopes"));
  for (const Bytes& envelope : envelopes) NOTP_TRY(check_envelope(envelope));
  return {};
}

std::vector<Bytes> take_envelopes(const google::protobuf::RepeatedPtrField<std::string>& in) {
  return {in.begin(), in.end()};
}

Result<RecoveryState> take_recovery_state(pb::RecoveryRow::State in) {
  switch (in) {
    case pb::RecoveryRow::LOST:
    case pb::RecoveryRow::FETCHING:
    case pb::RecoveryRow::RECOVERED:
    case pb::RecoveryRow::FORK:
      return static_cast<RecoveryState>(in);
    default:
      return bad("an unknown state of a recovery");
  }
}

}  // namespace

// --- between registry and node

template <>
struct Codec<HeldRequest> {
  using Proto = pb::HeldRequest;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2), rules::u64(3)};
  static constexpr Layout kLayout{HeldRequest::kName, kFields};

  static Result<void> check(const HeldRequest& in) {
    NOTP_TRY(check_ledger(in.ledger));
    return check_release_or_none(in.above_version, "version");
  }
  static void put(Proto& out, const HeldRequest& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_above_version(in.above_version);
    out.set_root_version(in.root_version);
  }
  static Result<HeldRequest> take(const Proto& in) {
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return HeldRequest{std::move(ledger), in.above_version(), in.root_version()};
  }
};

template <>
struct Codec<Held> {
  using Proto = pb::Held;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::envelope(2, limits::kHeldEnvelopesMax),
                                          rules::envelope(3, limits::kHeldEnvelopesMax),
                                          rules::envelope(4)};
  static constexpr Layout kLayout{Held::kName, kFields};

  static Result<void> check(const Held& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_envelopes(in.releases));
    NOTP_TRY(check_envelopes(in.roots));
    return in.freshness.empty() ? Result<void>{} : check_envelope(in.freshness);
  }
  static void put(Proto& out, const Held& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.mutable_releases()->Assign(in.releases.begin(), in.releases.end());
    out.mutable_roots()->Assign(in.roots.begin(), in.roots.end());
    out.set_freshness(in.freshness);
  }
  static Result<Held> take(const Proto& in) {
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return Held{std::move(ledger), take_envelopes(in.releases()), take_envelopes(in.roots()),
                in.freshness()};
  }
};

template <>
struct Codec<ReturnRequest> {
  using Proto = pb::ReturnRequest;
  static constexpr FieldRule kFields[] = {rules::u64(1),
                                          rules::message(2, Codec<model::LedgerId>::kLayout),
                                          rules::u64(3), rules::hash(4), rules::u64(5)};
  static constexpr Layout kLayout{ReturnRequest::kName, kFields};

  static Result<void> check(const ReturnRequest& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_release(in.version, "version"));
    NOTP_TRY(require(!in.release_hash.is_zero(), "no release hash"));
    return require(in.base_version < in.version, "the base is not older than the release");
  }
  static void put(Proto& out, const ReturnRequest& in) {
    out.set_request(in.request);
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
    out.set_release_hash(hash_bytes(in.release_hash));
    out.set_base_version(in.base_version);
  }
  static Result<ReturnRequest> take(const Proto& in) {
    ReturnRequest out;
    out.request = in.request();
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    out.version = in.version();
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    out.base_version = in.base_version();
    return out;
  }
};

template <>
struct Codec<Return> {
  using Proto = pb::Return;
  static constexpr FieldRule kFields[] = {rules::u64(1), rules::message(2, Codec<Base>::kLayout),
                                          rules::u64(3), rules::u32(4),
                                          rules::u32(5), rules::text(6)};
  static constexpr Layout kLayout{Return::kName, kFields};

  static Result<void> check(const Return& in) {
    NOTP_TRY(
        require((in.size == 0) == (in.code != 0), "neither an artifact nor an error, or both"));
    if (in.base) NOTP_TRY(Codec<Base>::check(*in.base));
    return require(in.size <= limits::kArtifactBytesMax, "the artifact is too large");
  }
  static void put(Proto& out, const Return& in) {
    out.set_request(in.request);
    if (in.base) Codec<Base>::put(*out.mutable_base(), *in.base);
    out.set_size(in.size);
    out.set_stream(in.stream);
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
  }
  static Result<Return> take(const Proto& in) {
    Return out;
    out.request = in.request();
    NOTP_ASSIGN(out.base, take_base(in));
    out.size = in.size();
    out.stream = in.stream();
    out.code = in.code();
    out.message = in.message();
    return out;
  }
};

// --- between registry and administrator

template <>
struct Codec<RecoveryRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout)};
  static constexpr Layout kLayout{RecoveryRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(18, kLayout)};

  static Result<void> check(const RecoveryRequest& in) {
    return in.after ? check_ledger(*in.after) : Result<void>{};
  }
  static bool is_in(const pb::Request& in) { return in.has_recovery(); }
  static void put(pb::Request& envelope, const RecoveryRequest& in) {
    pb::RecoveryRequest& out = *envelope.mutable_recovery();
    if (in.after) wire::put(out.mutable_after(), *in.after);
  }
  static Result<RecoveryRequest> take(const pb::Request& envelope) {
    const pb::RecoveryRequest& in = envelope.recovery();
    RecoveryRequest out;
    if (in.has_after()) out.after = ledger_of(in.after());
    return out;
  }
};

template <>
struct Codec<Recover> {
  static constexpr FieldRule kFields[] = {rules::flag(1), rules::flag(2)};
  static constexpr Layout kLayout{Recover::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(19, kLayout)};

  static Result<void> check(const Recover&) { return {}; }
  static bool is_in(const pb::Request& in) { return in.has_recover(); }
  static void put(pb::Request& envelope, const Recover& in) {
    pb::Recover& out = *envelope.mutable_recover();
    out.set_accept_silent(in.accept_silent);
    out.set_accept_missing(in.accept_missing);
  }
  static Result<Recover> take(const pb::Request& envelope) {
    const pb::Recover& in = envelope.recover();
    return Recover{in.accept_silent(), in.accept_missing()};
  }
};

template <>
struct Codec<RecoveryRow> {
  using Proto = pb::RecoveryRow;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2),
                                          rules::u64(3),
                                          rules::u32(4),
                                          rules::u32(5),
                                          rules::u64(6),
                                          rules::text(7),
                                          rules::text(8)};
  static constexpr Layout kLayout{"RecoveryRow", kFields};

  static Result<void> check(const RecoveryRow& in) { return check_ledger(in.ledger); }
  static void put(Proto& out, const RecoveryRow& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_head_version(in.head_version);
    out.set_newest_version(in.newest_version);
    out.set_holders(in.holders);
    out.set_state(static_cast<pb::RecoveryRow::State>(in.state));
    out.set_missing(in.missing);
    out.set_missing_versions(clean_text(in.missing_versions));
    out.set_message(clean_text(in.message));
  }
  static Result<RecoveryRow> take(const Proto& in) {
    RecoveryRow out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    out.head_version = in.head_version();
    out.newest_version = in.newest_version();
    out.holders = in.holders();
    NOTP_ASSIGN(out.state, take_recovery_state(in.state()));
    out.missing = in.missing();
    out.missing_versions = in.missing_versions();
    out.message = in.message();
    return out;
  }
};

template <>
struct Codec<RecoveryStatus> {
  static constexpr FieldRule kFields[] = {
      rules::u64(1),
      rules::u64(2),
      rules::u64(3),
      rules::u64(4),
      rules::u64(5),
      rules::u64(6),
      rules::bytes(7, limits::kIdentityBytesMax, limits::kSilentListedMax),
      rules::flag(8),
      rules::message(9, Codec<RecoveryRow>::kLayout, limits::kQueryRowsMax)};
  static constexpr Layout kLayout{RecoveryStatus::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(22, kLayout)};

  static Result<void> check(const RecoveryStatus& in) {
    NOTP_TRY(require(in.silent_nodes.size() <= limits::kSilentListedMax, "too many silent nodes"));
    return check_rows(in.rows, limits::kQueryRowsMax, "too many ledgers");
  }
  static bool is_in(const pb::Response& in) { return in.has_recovery(); }
  static void put(pb::Response& envelope, const RecoveryStatus& in) {
    pb::RecoveryStatus& out = *envelope.mutable_recovery();
    out.set_restored_ms(in.restored_ms);
    out.set_backup_ms(in.backup_ms);
    out.set_root_version(in.root_version);
    out.set_newest_root(in.newest_root);
    out.set_nodes(in.nodes);
    out.set_silent(in.silent);
    for (const std::string& node : in.silent_nodes) out.add_silent_nodes(clean_identity(node));
    out.set_is_running(in.is_running);
    // The length of what is nested takes its bytes, too.
    size_t room = room_for_rows(envelope) - kRowOverheadBytes;
    const bool all = put_rows_that_fit(*out.mutable_rows(), in.rows, room);
    envelope.set_more(in.more || !all);
  }
  static Result<RecoveryStatus> take(const pb::Response& envelope) {
    const pb::RecoveryStatus& in = envelope.recovery();
    RecoveryStatus out;
    out.restored_ms = in.restored_ms();
    out.backup_ms = in.backup_ms();
    out.root_version = in.root_version();
    out.newest_root = in.newest_root();
    out.nodes = in.nodes();
    out.silent = in.silent();
    out.silent_nodes.assign(in.silent_nodes().begin(), in.silent_nodes().end());
    out.is_running = in.is_running();
    NOTP_ASSIGN(out.rows, take_rows<RecoveryRow>(in.rows()));
    out.more = envelope.more();
    return out;
  }
};

template struct MessageCodec<HeldRequest>;
template struct MessageCodec<Held>;
template struct MessageCodec<ReturnRequest>;
template struct MessageCodec<Return>;
template struct PartCodec<RecoveryRequest, pb::Request>;
template struct PartCodec<Recover, pb::Request>;
template struct PartCodec<RecoveryStatus, pb::Response>;

}  // namespace notp::wire
