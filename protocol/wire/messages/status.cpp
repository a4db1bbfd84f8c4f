#include "protocol/wire/messages/status.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {

template <>
struct Codec<StatusRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u32(2)};
  static constexpr Layout kLayout{StatusRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(20, kLayout)};

  static Result<void> check(const StatusRequest& in) {
    if (in.after) NOTP_TRY(check_ledger(*in.after));
    return require(in.rows_max <= limits::kQueryRowsMax, "too many rows asked for");
  }
  static bool is_in(const pb::Request& in) { return in.has_status(); }
  static void put(pb::Request& envelope, const StatusRequest& in) {
    pb::StatusRequest& out = *envelope.mutable_status();
    if (in.after) wire::put(out.mutable_after(), *in.after);
    out.set_rows_max(in.rows_max);
  }
  static Result<StatusRequest> take(const pb::Request& envelope) {
    const pb::StatusRequest& in = envelope.status();
    StatusRequest out{.rows_max = in.rows_max()};
    if (in.has_after()) out.after = ledger_of(in.after());
    return out;
  }
};

template <>
struct Codec<LedgerStatus> {
  using Proto = pb::LedgerStatus;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<model::LedgerId>::kLayout),
                                          rules::u64(2),
                                          rules::u64(3),
                                          rules::u64(4),
                                          rules::u64(5),
                                          rules::u64(6),
                                          rules::u64(7),
                                          rules::u64(8),
                                          rules::u64(9)};
  static constexpr Layout kLayout{"LedgerStatus", kFields};

  static Result<void> check(const LedgerStatus& in) { return check_ledger(in.ledger); }
  static void put(Proto& out, const LedgerStatus& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    out.set_head_version(in.head_version);
    out.set_published_ms(in.published_ms);
    out.set_nodes(in.nodes);
    out.set_current(in.current);
    out.set_older(in.older);
    out.set_rejected(in.rejected);
    out.set_away(in.away);
    out.set_slowest_ms(in.slowest_ms);
  }
  static Result<LedgerStatus> take(const Proto& in) {
    NOTP_ASSIGN(model::LedgerId ledger, take_ledger(in));
    return LedgerStatus{std::move(ledger), in.head_version(), in.published_ms(),
                        in.nodes(),        in.current(),      in.older(),
                        in.rejected(),     in.away(),         in.slowest_ms()};
  }
};

template <>
struct Codec<RegistryStatus> {
  static constexpr FieldRule kFields[] = {
      rules::u64(1),  rules::u64(2),
      rules::u64(3),  rules::u64(4),
      rules::u64(5),  rules::u64(6),
      rules::u64(7),  rules::u64(8),
      rules::u64(9),  rules::u64(10),
      rules::u64(11), rules::u64(12),
      rules::u64(13), rules::message(14, Codec<LedgerStatus>::kLayout, limits::kQueryRowsMax)};
  static constexpr Layout kLayout{RegistryStatus::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(23, kLayout)};

  static Result<void> check(const RegistryStatus& in) {
    return check_rows(in.ledgers, limits::kQueryRowsMax, "too many ledgers");
  }
  static bool is_in(const pb::Response& in) { return in.has_status(); }
  static void put(pb::Response& envelope, const RegistryStatus& in) {
    pb::RegistryStatus& out = *envelope.mutable_status();
    out.set_started_ms(in.started_ms);
    out.set_now_ms(in.now_ms);
    out.set_sessions(in.sessions);
    out.set_publishes(in.publishes);
    out.set_offers(in.offers);
    out.set_sent_bytes(in.sent_bytes);
    out.set_activations(in.activations);
    out.set_rejections(in.rejections);
    out.set_records(in.records);
    out.set_lag_ms(in.lag_ms);
    out.set_nodes(in.nodes);
    out.set_connected(in.connected);
    out.set_stale(in.stale);
    // The length of what is nested takes its bytes, too.
    size_t room = room_for_rows(envelope) - kRowOverheadBytes;
    const bool all = put_rows_that_fit(*out.mutable_ledgers(), in.ledgers, room);
    envelope.set_more(in.more || !all);
  }
  static Result<RegistryStatus> take(const pb::Response& envelope) {
    const pb::RegistryStatus& in = envelope.status();
    RegistryStatus out{.started_ms = in.started_ms(),
                       .now_ms = in.now_ms(),
                       .sessions = in.sessions(),
                       .publishes = in.publishes(),
                       .offers = in.offers(),
                       .sent_bytes = in.sent_bytes(),
                       .activations = in.activations(),
                       .rejections = in.rejections(),
                       .records = in.records(),
                       .lag_ms = in.lag_ms(),
                       .nodes = in.nodes(),
                       .connected = in.connected(),
                       .stale = in.stale(),
                       .ledgers = {},
                       .more = envelope.more()};
    NOTP_ASSIGN(out.ledgers, take_rows<LedgerStatus>(in.ledgers()));
    return out;
  }
};

template struct PartCodec<StatusRequest, pb::Request>;
template struct PartCodec<RegistryStatus, pb::Response>;

}  // namespace notp::wire
