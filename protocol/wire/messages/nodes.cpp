#include "protocol/wire/messages/nodes.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {

template <>
struct Codec<NodesRequest> {
  static constexpr FieldRule kFields[] = {rules::identity(1), rules::u32(2)};
  static constexpr Layout kLayout{NodesRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(3, kLayout)};

  static Result<void> check(const NodesRequest& in) {
    NOTP_TRY(require(in.after.size() <= limits::kIdentityBytesMax, "the identity is too long"));
    return require(in.rows_max <= limits::kQueryRowsMax, "too many rows asked for");
  }
  static bool is_in(const pb::Request& in) { return in.has_nodes(); }
  static void put(pb::Request& envelope, const NodesRequest& in) {
    pb::NodesRequest& out = *envelope.mutable_nodes();
    out.set_after(clean_identity(in.after));
    out.set_rows_max(in.rows_max);
  }
  static Result<NodesRequest> take(const pb::Request& envelope) {
    const pb::NodesRequest& in = envelope.nodes();
    return NodesRequest{in.after(), in.rows_max()};
  }
};

template <>
struct Codec<NodeLedger> {
  using Proto = pb::NodeLedger;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2),
                                          rules::u32(3),
                                          rules::u64(4),
                                          rules::u32(5),
                                          rules::text(6),
                                          rules::u64(7),
                                          rules::u64(8),
                                          rules::u32(9),
                                          rules::u64(10)};
  static constexpr Layout kLayout{"NodeLedger", kFields};

  static Result<void> check(const NodeLedger& in) { return check_ledger(in.ledger); }
  static void put(Proto& out, const NodeLedger& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
    out.set_state(static_cast<pb::Commit::State>(in.state));
    out.set_active_version(in.active_version);
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
    out.set_since_ms(in.since_ms);
    out.set_head_version(in.head_version);
    out.set_freshness(static_cast<pb::FreshnessState>(in.freshness));
    out.set_vouched_ms(in.vouched_ms);
  }
  static Result<NodeLedger> take(const Proto& in) {
    NodeLedger out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    out.version = in.version();
    NOTP_ASSIGN(out.state, take_state(in.state()));
    out.active_version = in.active_version();
    out.code = in.code();
    out.message = in.message();
    out.since_ms = in.since_ms();
    out.head_version = in.head_version();
    NOTP_ASSIGN(out.freshness, take_freshness(in.freshness()));
    out.vouched_ms = in.vouched_ms();
    return out;
  }
};

template <>
struct Codec<NodeRow> {
  using Proto = pb::NodeRow;
  static constexpr FieldRule kFields[] = {
      rules::identity(1),
      rules::name(2),
      rules::flag(3),
      rules::u64(4),
      rules::message(5, Codec<NodeLedger>::kLayout, limits::kLedgersPerSessionMax),
      rules::u64(6)};
  static constexpr Layout kLayout{"NodeRow", kFields};

  static Result<void> check(const NodeRow& in) {
    return check_rows(in.ledgers, limits::kLedgersPerSessionMax, "a node has too many ledgers");
  }
  static void put(Proto& out, const NodeRow& in) {
    out.set_identity(clean_identity(in.identity));
    out.set_user_agent(clean_name(in.user_agent));
    out.set_connected(in.connected);
    out.set_seen_ms(in.seen_ms);
    put_rows(*out.mutable_ledgers(), in.ledgers);
    if (in.lag_since_ms) out.set_lag_since_ms(*in.lag_since_ms);
  }
  static Result<NodeRow> take(const Proto& in) {
    NodeRow out{in.identity(), in.user_agent(), in.connected(), in.seen_ms(), {}, {}};
    NOTP_ASSIGN(out.ledgers, take_rows<NodeLedger>(in.ledgers()));
    if (in.has_lag_since_ms()) out.lag_since_ms = in.lag_since_ms();
    return out;
  }
};

template <>
struct Codec<NodesPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(5, Codec<NodeRow>::kLayout, limits::kQueryRowsMax)};

  static Result<void> check(const NodesPage& in) {
    return check_rows(in.rows, limits::kQueryRowsMax, "too many nodes");
  }
  static bool is_in(const pb::Response& in) { return !in.nodes().empty(); }
  static void put(pb::Response& out, const NodesPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_rows_that_fit(*out.mutable_nodes(), in.rows, room);
    out.set_more(in.more || !all);
  }
  static Result<NodesPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<NodeRow>(in.nodes()));
    return NodesPage{std::move(rows), in.more()};
  }
};

template <>
struct Codec<ReleaseStatusRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2)};
  static constexpr Layout kLayout{ReleaseStatusRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(32, kLayout)};

  static Result<void> check(const ReleaseStatusRequest& in) {
    NOTP_TRY(check_ledger(in.ledger));
    return check_release(in.version, "version");
  }
  static bool is_in(const pb::Request& in) { return in.has_release_status(); }
  static void put(pb::Request& envelope, const ReleaseStatusRequest& in) {
    pb::ReleaseStatusRequest& out = *envelope.mutable_release_status();
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
  }
  static Result<ReleaseStatusRequest> take(const pb::Request& envelope) {
    const pb::ReleaseStatusRequest& in = envelope.release_status();
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return ReleaseStatusRequest{std::move(ledger), in.version()};
  }
};

template <>
struct Codec<ReleaseStatus> {
  static constexpr FieldRule kFields[] = {rules::u64(1), rules::u64(2), rules::u64(3),
                                          rules::u64(4)};
  static constexpr Layout kLayout{ReleaseStatus::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(32, kLayout)};

  static Result<void> check(const ReleaseStatus& in) {
    NOTP_TRY(require(in.connected <= in.nodes, "more nodes are connected than there are"));
    NOTP_TRY(require(in.active <= in.connected, "more nodes are active than are connected"));
    return require(in.reconnecting <= in.nodes - in.connected,
                   "more nodes come back than are not connected");
  }
  static bool is_in(const pb::Response& in) { return in.has_release_status(); }
  static void put(pb::Response& envelope, const ReleaseStatus& in) {
    pb::ReleaseStatus& out = *envelope.mutable_release_status();
    out.set_nodes(in.nodes);
    out.set_connected(in.connected);
    out.set_active(in.active);
    out.set_reconnecting(in.reconnecting);
  }
  static Result<ReleaseStatus> take(const pb::Response& envelope) {
    const pb::ReleaseStatus& in = envelope.release_status();
    return ReleaseStatus{in.nodes(), in.connected(), in.active(), in.reconnecting()};
  }
};

template <>
struct Codec<ReleaseHeldRequest> {
  static constexpr FieldRule kFields[] = {
      rules::identity(1), rules::message(2, Codec<model::LedgerId>::kLayout), rules::u64(3)};
  static constexpr Layout kLayout{ReleaseHeldRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(26, kLayout)};

  static Result<void> check(const ReleaseHeldRequest& in) {
    NOTP_TRY(require(!in.node.empty() && in.node.size() <= limits::kIdentityBytesMax,
                     "there is no node, or its identity is too long"));
    NOTP_TRY(check_ledger(in.ledger));
    return check_release(in.version, "held version");
  }
  static bool is_in(const pb::Request& in) { return in.has_release_held(); }
  static void put(pb::Request& envelope, const ReleaseHeldRequest& in) {
    pb::ReleaseHeldRequest& out = *envelope.mutable_release_held();
    out.set_node(clean_identity(in.node));
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
  }
  static Result<ReleaseHeldRequest> take(const pb::Request& envelope) {
    const pb::ReleaseHeldRequest& in = envelope.release_held();
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return ReleaseHeldRequest{in.node(), std::move(ledger), in.version()};
  }
};

template <>
struct Codec<ReleaseHeld> {
  using Proto = pb::ReleaseHeld;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2)};
  static constexpr Layout kLayout{ReleaseHeld::kName, kFields};

  static Result<void> check(const ReleaseHeld& in) {
    NOTP_TRY(check_ledger(in.ledger));
    return check_release(in.version, "held version");
  }
  static void put(Proto& out, const ReleaseHeld& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_version(in.version);
  }
  static Result<ReleaseHeld> take(const Proto& in) {
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return ReleaseHeld{std::move(ledger), in.version()};
  }
};

template struct MessageCodec<ReleaseHeld>;
template struct PartCodec<ReleaseHeldRequest, pb::Request>;
template struct PartCodec<ReleaseStatusRequest, pb::Request>;
template struct PartCodec<ReleaseStatus, pb::Response>;
template struct PartCodec<NodesRequest, pb::Request>;
template struct PartCodec<NodesPage, pb::Response>;

}  // namespace notp::wire
