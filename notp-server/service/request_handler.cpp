#include "notp-server/service/request_handler.hpp"

#include <algorithm>
#include <variant>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "protocol/serve/peer_error.hpp"
#include "protocol/trust/age.hpp"

namespace notp::service {
namespace {

size_t rows_of(uint32_t wanted) { return std::clamp<size_t>(wanted, 1, limits::kQueryRowsMax); }

wire::HistoryRow history_row(const registry::ReleaseInfo& info) {
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

wire::Response error_response(const wire::Request& request, const Error& error) {
  return {request.request, static_cast<uint32_t>(error.code), error.message};
}

RequestOutcome RequestHandler::handle(const wire::Request& request, const Caller& caller) {
  RequestOutcome out;
  if (const auto noted = note_read(request, caller); !noted)
    return {error_response(request, noted.error()), {}};
  out.response = std::visit(
      [&]<typename T>(const T& what) {
        Result<typename T::Response> content = on(what, caller, out.effects);
        if (!content) return error_response(request, content.error());
        return wire::Response{request.request, 0, {}, std::move(*content)};
      },
      request.what);
  return out;
}

Result<wire::HistoryPage> RequestHandler::on(const wire::HistoryRequest& query, const Caller&,
                                             Effects&) {
  const size_t rows_max = rows_of(query.rows_max);
  NOTP_ASSIGN(auto releases,
              parts_.registry.history(query.ledger, query.below_version, rows_max + 1));
  wire::HistoryPage out;
  out.more = releases.size() > rows_max;
  if (out.more) releases.resize(rows_max);
  for (const registry::ReleaseInfoPtr& info : releases) out.rows.push_back(history_row(*info));
  return out;
}

Result<wire::NodesPage> RequestHandler::on(const wire::NodesRequest& query, const Caller& caller,
                                           Effects&) {
  NOTP_ASSIGN(fleet::Fleet::Page page, parts_.fleet.list(query.after, rows_of(query.rows_max)));
  for (wire::NodeRow& node : page.nodes)
    for (wire::NodeLedger& ledger : node.ledgers)
      complete_node_row(ledger, node.connected, caller.now_ms);
  return wire::NodesPage{std::move(page.nodes), page.more};
}

// A connected node reports the freshness of its release itself. For a disconnected one the worst
// case is assumed: no statement has attested its release since.
void RequestHandler::complete_node_row(wire::NodeLedger& ledger, bool connected,
                                       TimeMs now_ms) const {
  if (const auto head = parts_.registry.head(ledger.ledger))
    ledger.head_version = head->release.version;
  if (ledger.active_version == 0) return;
  const auto active = parts_.registry.info(ledger.ledger, ledger.active_version);
  if (!active) return;
  const trust::Release& release = (*active)->release;
  ledger.vouched_ms = std::max(ledger.vouched_ms, release.issued_ms);
  if (connected || !parts_.freshness.enabled()) return;
  const trust::Age age =
      trust::age_of({release.fresh_s, release.hard_s, release.on_hard}, ledger.vouched_ms, now_ms);
  ledger.freshness = std::max(ledger.freshness, age.state);
}

Result<wire::LedgersPage> RequestHandler::on(const wire::LedgersRequest& query,
                                             const Caller& caller, Effects&) {
  const auto rights = parts_.rights.get();
  wire::LedgersPage out;
  for (const model::LedgerId& ledger : parts_.registry.ledgers()) {
    if (query.after && ledger <= *query.after) continue;
    if (!rights->may(caller.identity, wire::Action::kRead, &ledger)) continue;
    if (const auto head = parts_.registry.head(ledger)) out.heads.push_back(head->ref);
  }
  if (query.after) return out;  // damage is on the first page
  for (const registry::LedgerDamage& damage : parts_.registry.damaged())
    if (rights->may(caller.identity, wire::Action::kRead, &damage.ledger))
      if (const auto error = parts_.registry.damage(damage.ledger))
        out.damaged.push_back({damage.ledger, error->code, error->message});
  return out;
}

Result<wire::RegistryStatus> RequestHandler::on(const wire::StatusRequest& query,
                                                const Caller& caller, Effects&) {
  NOTP_ASSIGN(wire::RegistryStatus out,
              status_of(parts_.registry, parts_.fleet, parts_.totals(), query, caller.now_ms));
  out.started_ms = started_ms_;
  return out;
}

// --- trust

Result<wire::RootsPage> RequestHandler::on(const wire::RootsRequest& query, const Caller&,
                                           Effects&) {
  wire::RootsPage out;
  for (const session::CatalogRoot& root : parts_.roots.after(query.after_version))
    out.root_chain.push_back(*root.envelope);
  out.more = out.root_chain.size() == limits::kRootStepsMax;
  return out;
}

Result<wire::Done> RequestHandler::on(const wire::PublishRoot& order, const Caller& caller,
                                      Effects& effects) {
  NOTP_TRY(parts_.recovery.may_publish_root());
  NOTP_ASSIGN(const auto root, parts_.roots.publish(order.envelope, caller.now_ms));
  log::info("root_published", {{"identity", caller.identity.text()},
                               {"root_version", root->version},
                               {"epoch", root->epoch}});
  parts_.freshness.log_key_state();
  effects.roots_changed = true;
  return wire::Done{};
}

Result<wire::HistoryPage> RequestHandler::on(const wire::Withdraw& order, const Caller& caller,
                                             Effects& effects) {
  NOTP_ASSIGN(const registry::ReleaseInfoPtr info,
              parts_.registry.withdraw(order.ledger, order.version, order.reason,
                                       caller.identity.text(), caller.now_ms));
  log::warn("release_withdrawn", {{"identity", caller.identity.text()},
                                  {"ledger", order.ledger.text()},
                                  {"version", order.version},
                                  {"release", info->ref.release_hash.brief()},
                                  {"message", info->withdrawn}});
  effects.freshness_due = true;
  return wire::HistoryPage{{history_row(*info)}};
}

Result<wire::TrustRow> RequestHandler::on(const wire::TrustRequest&, const Caller&, Effects&) {
  wire::TrustRow row;
  row.root_version = parts_.roots.newest();
  row.deny_list = parts_.facts.deny_list;
  if (parts_.freshness.key_state() == trust::FreshnessKeyState::kSigning)
    row.freshness_interval_ms = static_cast<uint64_t>(parts_.freshness.interval_ms());
  row.enroll_address = parts_.facts.enroll_address;
  return row;
}

// --- recovery

Result<wire::RecoveryStatus> RequestHandler::on(const wire::RecoveryRequest& query, const Caller&,
                                                Effects&) {
  return parts_.recovery.status(query);
}

Result<wire::Done> RequestHandler::on(const wire::Recover& order, const Caller& caller, Effects&) {
  NOTP_TRY(parts_.recovery.recover(order, caller.identity.text()));
  return wire::Done{};
}

// --- pending releases

Result<wire::PendingPage> RequestHandler::on(const wire::PendingRequest& query,
                                             const Caller& caller, Effects&) {
  const auto rights = parts_.rights.get();
  return parts_.pipeline.pending(query.ledger, query.after, [&](const model::LedgerId& ledger) {
    return rights->may(caller.identity, wire::Action::kReview, &ledger).has_value();
  });
}

Result<wire::PublishResult> RequestHandler::on(const wire::Cosign& order, const Caller& caller,
                                               Effects& effects) {
  publish::PublishOutcome outcome = parts_.pipeline.cosign(order, caller.now_ms);
  const wire::PublishResult& result = outcome.result;
  log::write(result.code == 0 ? log::Level::kInfo : log::Level::kWarn,
             result.code != 0    ? "cosign_refused"
             : outcome.published ? "published"
                                 : "cosigned",
             {{"identity", caller.identity.text()},
              {"ledger", order.ledger.text()},
              {"version", result.version},
              {"release", order.release_hash.brief()},
              {"signers", result.signers},
              {"code", serve::code_name(result.code)},
              {"message", result.message}});
  if (outcome.published) effects.new_head = order.ledger;
  return std::move(outcome.result);
}

Result<wire::Done> RequestHandler::on(const wire::DropPending& order, const Caller& caller,
                                      Effects&) {
  NOTP_TRY(parts_.pipeline.drop_pending(order));
  log::info("pending_dropped", {{"identity", caller.identity.text()},
                                {"ledger", order.ledger.text()},
                                {"release", order.release_hash.brief()}});
  return wire::Done{};
}

// --- identities

Result<wire::IssuedToken> RequestHandler::on(const wire::NewJoinToken& order, const Caller& caller,
                                             Effects&) {
  if (parts_.enrollment == nullptr) return no_enrollment();
  NOTP_TRY(parts_.rights.get()->may_enroll(caller.identity, order.node));
  NOTP_ASSIGN(std::string token,
              parts_.enrollment->new_token(order, caller.identity.text(), caller.now_ms));
  log::write(
      order.replace ? log::Level::kWarn : log::Level::kInfo, "join_token_made",
      {{"identity", caller.identity.text()}, {"node", order.node}, {"replaces", order.replace}});
  return wire::IssuedToken{std::move(token)};
}

Result<wire::Certificate> RequestHandler::on(const wire::RenewCertificate& order,
                                             const Caller& caller, Effects&) {
  if (parts_.enrollment == nullptr) return no_enrollment();
  NOTP_ASSIGN(wire::Certificate certificate,
              parts_.enrollment->renew(order, caller.identity, caller.key, caller.now_ms));
  log::info("certificate_renewed", {{"identity", caller.identity.text()}});
  return certificate;
}

// --- recorded decisions

Result<const audit::AuditSearch*> RequestHandler::audit() const {
  if (parts_.audit != nullptr) return parts_.audit;
  return fail(ErrorCode::kConfig,
              "this registry keeps no records of decisions: see 'audit' in its "
              "configuration");
}

// A decision about no ledger is for those who may read all of them. So is one whose ledger has no
// proper name.
audit::MaySee RequestHandler::ledgers_of(const Caller& caller, wire::Action action) const {
  return
      [rights = parts_.rights.get(), &identity = caller.identity, action](std::string_view text) {
        const auto ledger = model::LedgerId::parse(text);
        if (!ledger) return rights->may_everywhere(identity, action);
        return rights->may(identity, action, &*ledger).has_value();
      };
}

audit::MaySee RequestHandler::audited_by(const Caller& caller) const {
  return ledgers_of(caller, wire::Action::kAudit);
}

Result<wire::DecisionsPage> RequestHandler::on(const wire::DecisionsRequest& query,
                                               const Caller& caller, Effects&) {
  NOTP_ASSIGN(const auto* const search, audit());
  return search->decisions(query, audited_by(caller));
}

Result<wire::DecisionCountsPage> RequestHandler::on(const wire::DecisionCountsRequest& query,
                                                    const Caller& caller, Effects&) {
  NOTP_ASSIGN(const auto* const search, audit());
  return search->counts(query, audited_by(caller));
}

Result<wire::LogsPage> RequestHandler::on(const wire::LogsRequest& query, const Caller&, Effects&) {
  NOTP_ASSIGN(const auto* const search, audit());
  return search->logs(query);
}

Result<wire::SegmentPart> RequestHandler::on(const wire::SegmentRequest& query,
                                             const Caller& caller, Effects&) {
  NOTP_ASSIGN(const auto* const search, audit());
  return search->segment(query, audited_by(caller));
}

}  // namespace notp::service
