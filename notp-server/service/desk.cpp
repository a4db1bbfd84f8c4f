#include "notp-server/service/desk.hpp"

#include <algorithm>
#include <variant>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "protocol/trust/age.hpp"

namespace notp {
namespace {

size_t rows_of(uint32_t wanted) { return std::clamp<size_t>(wanted, 1, limits::kQueryRowsMax); }

wire::HistoryRow history_row(const ReleaseInfo& info) {
  wire::HistoryRow row;
  row.version = info.release.version;
  row.release_hash = info.ref.release_hash;
  row.content_root = info.release.content_root;
  row.publisher = info.publisher;
  row.message = info.message;
  row.issued_ms = info.release.issued_ms;
  row.total_bytes = info.release.total_bytes;
  row.file_count = info.release.file_count;
  row.commit = info.commit;
  row.envelope = info.envelope;
  row.withdrawn = info.withdrawn;
  return row;
}

std::unexpected<Error> no_enrollment() {
  return fail(ErrorCode::kConfig, "enrolment is not configured at this registry");
}

}  // namespace

DeskAnswer refusal(const wire::Query& query, const Error& error) {
  DeskAnswer out;
  out.answer.request = query.request;
  out.answer.code = static_cast<uint32_t>(error.code);
  out.answer.message = error.message;
  return out;
}

DeskAnswer Desk::handle(const wire::Query& query, const Identity& peer, const Hash& key,
                        TimeMs now_ms) {
  const Asker asker{peer, key, now_ms};
  auto handled = std::visit([&](const auto& what) { return on(what, asker); }, query.what);
  if (!handled) return refusal(query, handled.error());
  handled->answer.request = query.request;
  return std::move(*handled);
}

Result<DeskAnswer> Desk::on(const wire::HistoryQuery& query, const Asker&) {
  const size_t rows_max = rows_of(query.rows_max);
  NOTP_ASSIGN(auto releases,
              parts_.registry.history(query.ledger, query.below_version, rows_max + 1));
  DeskAnswer out;
  out.answer.more = releases.size() > rows_max;
  if (out.answer.more) releases.resize(rows_max);
  for (const ReleaseInfoPtr& info : releases) out.answer.history.push_back(history_row(*info));
  return out;
}

Result<DeskAnswer> Desk::on(const wire::NodesQuery& query, const Asker& asker) {
  NOTP_ASSIGN(Fleet::Page page, parts_.fleet.list(query.after, rows_of(query.rows_max)));
  for (wire::NodeRow& node : page.nodes)
    for (wire::NodeLedger& ledger : node.ledgers) judge(ledger, node.connected, asker.now_ms);
  DeskAnswer out;
  out.answer.nodes = std::move(page.nodes);
  out.answer.more = page.more;
  return out;
}

// A node that is connected says itself how fresh its release is. Of one that is not, the worst is
// known: nobody has vouched for its release since.
void Desk::judge(wire::NodeLedger& ledger, bool connected, TimeMs now_ms) const {
  if (const auto head = parts_.registry.head(ledger.ledger))
    ledger.head_version = head->release.version;
  if (ledger.active_version == 0) return;
  const auto active = parts_.registry.info(ledger.ledger, ledger.active_version);
  if (!active) return;
  const Release& release = (*active)->release;
  ledger.vouched_ms = std::max(ledger.vouched_ms, release.issued_ms);
  if (connected || !parts_.freshness.enabled()) return;
  const Age age =
      age_of({release.fresh_s, release.hard_s, release.on_hard}, ledger.vouched_ms, now_ms);
  ledger.freshness = std::max(ledger.freshness, age.state);
}

Result<DeskAnswer> Desk::on(const wire::LedgersQuery& query, const Asker& asker) {
  const auto rights = parts_.rights.get();
  DeskAnswer out;
  for (const LedgerId& ledger : parts_.registry.ledgers()) {
    if (query.after && ledger <= *query.after) continue;
    if (!rights->may(asker.peer, Action::kRead, &ledger)) continue;
    if (const auto head = parts_.registry.head(ledger)) out.answer.ledgers.push_back(head->ref);
  }
  if (query.after) return out;  // the first page had what is damaged
  for (const LedgerDamage& damage : parts_.registry.damaged())
    if (rights->may(asker.peer, Action::kRead, &damage.ledger))
      if (const auto told = parts_.registry.damage(damage.ledger))
        out.answer.damaged.push_back({damage.ledger, told->code, told->message});
  return out;
}

// --- trust

Result<DeskAnswer> Desk::on(const wire::RootsQuery& query, const Asker&) {
  DeskAnswer out;
  for (const CatalogRoot& root : parts_.roots.after(query.after_version))
    out.answer.root_chain.push_back(*root.envelope);
  out.answer.more = out.answer.root_chain.size() == limits::kRootStepsMax;
  return out;
}

Result<DeskAnswer> Desk::on(const wire::PublishRoot& order, const Asker& asker) {
  NOTP_ASSIGN(const auto root, parts_.roots.publish(order.envelope, asker.now_ms));
  log::info(
      "root_published",
      {{"identity", asker.peer.text()}, {"root_version", root->version}, {"epoch", root->epoch}});
  parts_.freshness.log_key_state();
  DeskAnswer out;
  out.roots_changed = true;
  return out;
}

Result<DeskAnswer> Desk::on(const wire::Withdraw& order, const Asker& asker) {
  NOTP_ASSIGN(const ReleaseInfoPtr info,
              parts_.registry.withdraw(order.ledger, order.version, order.reason, asker.peer.text(),
                                       asker.now_ms));
  log::warn("release_withdrawn", {{"identity", asker.peer.text()},
                                  {"ledger", order.ledger.text()},
                                  {"version", order.version},
                                  {"release", info->ref.release_hash.brief()},
                                  {"message", info->withdrawn}});
  DeskAnswer out;
  out.answer.history.push_back(history_row(*info));
  out.freshness_due = true;
  return out;
}

Result<DeskAnswer> Desk::on(const wire::TrustQuery&, const Asker&) {
  wire::TrustRow row;
  row.root_version = parts_.roots.newest();
  row.deny_list = parts_.facts.deny_list;
  if (parts_.freshness.key_state() == FreshnessKeyState::kSigning)
    row.freshness_interval_ms = static_cast<uint64_t>(parts_.freshness.interval_ms());
  row.enroll_address = parts_.facts.enroll_address;
  DeskAnswer out;
  out.answer.trust = std::move(row);
  return out;
}

// --- releases that wait for signatures

Result<DeskAnswer> Desk::on(const wire::PendingQuery& query, const Asker& asker) {
  const auto rights = parts_.rights.get();
  PublishDoor::PendingPage page =
      parts_.door.pending(query.ledger, query.after, [&](const LedgerId& ledger) {
        return rights->may(asker.peer, Action::kReview, &ledger).has_value();
      });
  DeskAnswer out;
  out.answer.pending = std::move(page.rows);
  out.answer.more = page.more;
  return out;
}

Result<DeskAnswer> Desk::on(const wire::Cosign& order, const Asker& asker) {
  PublishOutcome outcome = parts_.door.cosign(order, asker.now_ms);
  const wire::PublishResult& result = outcome.result;
  log::write(result.code == 0 ? log::Level::kInfo : log::Level::kWarn,
             result.code != 0    ? "cosign_refused"
             : outcome.published ? "published"
                                 : "cosigned",
             {{"identity", asker.peer.text()},
              {"ledger", order.ledger.text()},
              {"version", result.version},
              {"release", order.release_hash.brief()},
              {"signers", result.signers},
              {"code", result.code},
              {"message", result.message}});
  DeskAnswer out;
  if (outcome.published) out.new_head = order.ledger;
  out.answer.published = std::move(outcome.result);
  return out;
}

Result<DeskAnswer> Desk::on(const wire::DropPending& order, const Asker& asker) {
  NOTP_TRY(parts_.door.drop_pending(order));
  log::info("pending_dropped", {{"identity", asker.peer.text()},
                                {"ledger", order.ledger.text()},
                                {"release", order.release_hash.brief()}});
  return DeskAnswer{};
}

// --- identities

Result<DeskAnswer> Desk::on(const wire::NewJoinToken& order, const Asker& asker) {
  if (parts_.enrollment == nullptr) return no_enrollment();
  NOTP_TRY(parts_.rights.get()->may_enroll(asker.peer, order.node));
  DeskAnswer out;
  NOTP_ASSIGN(out.answer.join_token,
              parts_.enrollment->new_token(order, asker.peer.text(), asker.now_ms));
  log::write(order.replace ? log::Level::kWarn : log::Level::kInfo, "join_token_made",
             {{"identity", asker.peer.text()}, {"node", order.node}, {"replaces", order.replace}});
  return out;
}

Result<DeskAnswer> Desk::on(const wire::RenewCertificate& order, const Asker& asker) {
  if (parts_.enrollment == nullptr) return no_enrollment();
  DeskAnswer out;
  NOTP_ASSIGN(out.answer.certificate,
              parts_.enrollment->renew(order, asker.peer, asker.key, asker.now_ms));
  log::info("certificate_renewed", {{"identity", asker.peer.text()}});
  return out;
}

}  // namespace notp
