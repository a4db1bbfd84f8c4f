#include "notp-client/agent/core/agent_core.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/assert.hpp"

namespace notp::agent {
namespace {

// Compares a registry's claim about its head with what this node has verified. The claim is
// unsigned: it can raise an alarm, never change state. nullopt: they agree.
std::optional<Error> contradiction(const trust::ReleaseRef& head, const trust::Floor& known) {
  if (head.version < known.version)
    return Error{
        ErrorCode::kRollback,
        fmt::format("the registry's newest {} is v{}, this node has verified v{}: the registry "
                    "lost releases or is held back; this node keeps v{}",
                    head.ledger.text(), head.version, known.version, known.version),
        {}};
  if (head.version == known.version && head.version != 0 && head.release_hash != known.release_hash)
    return Error{ErrorCode::kEquivocation,
                 fmt::format("the registry shows another {} v{} than this node has verified",
                             head.ledger.text(), head.version),
                 {}};
  return std::nullopt;
}

// Whether the state could not be read from the store, rather than being refused by the PDP.
bool is_store_failure(ErrorCode code) {
  return code == ErrorCode::kCorrupt || code == ErrorCode::kNotFound || code == ErrorCode::kIo;
}

// Answers that only the host reads. False: it is none.
bool pass_on(session::ClientEvent& event, AgentEffects& effects) {
  if (auto* answered = std::get_if<session::client_event::Answered>(&event))
    effects.emplace_back(effect::Answered{std::move(answered->response)});
  else if (auto* granted = std::get_if<session::client_event::LogGranted>(&event))
    effects.emplace_back(effect::LogGranted{std::move(granted->grant)});
  else if (auto* arrived = std::get_if<session::client_event::ReceiptArrived>(&event))
    effects.emplace_back(effect::ReceiptArrived{std::move(arrived->receipt)});
  else
    return false;
  return true;
}

}  // namespace

AgentCore::AgentCore(AgentOptions options, store::StoreState state, AgentTrust trust,
                     Random& random, Now now)
    : options_(std::move(options)),
      trust_(std::move(trust)),
      alarms_(effects_),
      releases_(options_.ledgers, std::move(state), trust_),
      reports_(releases_, trust_, session_),
      dial_(options_.backoff_first_ms, options_.backoff_max_ms, random, now.boot_ms),
      transfers_(releases_),
      repair_(parts(), transfers_),
      activation_(parts()),
      installer_(parts(), repair_, transfers_, activation_, options_.releases_kept),
      watch_(parts(), now.boot_ms),
      updates_(parts(), dial_, watch_),
      holdings_(parts()) {}

void AgentCore::start(Now now) {
  trust_.tick(now);
  for (const Error& finding : trust_.findings()) alarms_.raise(finding);
  for (const store::change::PinRoot& pinned : trust_.new_roots())
    effects_.push_back(effect::Persist{pinned});
  activation_.update(/*again=*/true);
  for (const model::LedgerId& ledger : releases_.take_left_ledgers())
    effects_.push_back(effect::Persist{store::change::DropLedger{ledger}});
  on_deadline(now);
}

// --- time

TimeMs AgentCore::next_deadline() const {
  const TimeMs deadline_ms =
      std::min({watch_.next_deadline(), dial_.next_deadline(), alarms_.next_deadline(),
                updates_.sources().next_deadline()});
  return session_.get() ? std::min(deadline_ms, reports_.next_deadline()) : deadline_ms;
}

void AgentCore::on_deadline(Now now) {
  trust_.tick(now);
  if (dial_.start_if_due(now.boot_ms)) effects_.push_back(effect::Connect{});
  reports_.on_deadline(now.boot_ms);
  watch_.keep_time_if_due(now.boot_ms);
  alarms_.on_deadline(now.boot_ms);
  updates_.sources().on_deadline(now.boot_ms);
  refresh_status();
}

void AgentCore::refresh_status() {
  watch_.refresh(activation_.wanted().picks);
  activation_.update(/*again=*/false);
}

// --- the connection

void AgentCore::on_connect_failed(const Error& error, DialFailure failure, Now now) {
  trust_.tick(now);
  dial_.on_connect_failed(error, failure, now.boot_ms);
  refresh_status();
}

session::ClientSession& AgentCore::on_connected(Now now, tls::Validity registry,
                                                std::optional<wire::LogOffer> log) {
  dial_.on_connected();
  trust_.tick(now);
  trust_.begin_session(registry);
  updates_.begin_session();
  holdings_.begin_session();
  reports_.send_hello();
  return session_.begin(make_hello(std::move(log)), transfers_.partials(), now);
}

void AgentCore::on_session_progress(Now now) {
  if (!session_.get()) return;
  trust_.tick(now);
  take_session_events();
  refresh_status();
}

void AgentCore::on_disconnected(const std::optional<Error>& why, Now now) {
  NOTP_ASSERT(session_.get() != nullptr, "a session ends once");
  trust_.tick(now);
  take_session_events();
  const bool was_welcomed = session_.get()->is_welcomed();
  transfers_.end_session(session_.get()->take_partials());
  session_.end();
  alarms_.session_ended(now.boot_ms);
  updates_.sources().end_session();
  reports_.end_session();
  dial_.on_disconnected(why && !was_welcomed ? &*why : nullptr, now.boot_ms);
  refresh_status();
}

wire::Hello AgentCore::make_hello(std::optional<wire::LogOffer> log) const {
  wire::Hello hello{.versions = {wire::kProtocolVersion},
                    .user_agent = options_.user_agent,
                    .root_version = trust_.root().version,
                    .freshness_sequence = trust_.trusted().freshness_sequence,
                    .wants = {},
                    .log = std::move(log),
                    .class_freshness = true};
  if (const auto& assignment = trust_.trusted().assignment)
    hello.assignment_sequence = assignment->sequence;
  for (const model::LedgerId& ledger : releases_.sorted_ledgers())
    hello.wants.push_back(repair_.want(ledger, /*with_base=*/true));
  return hello;
}

bool AgentCore::ask(const wire::Request& request) {
  if (!session_.is_welcomed()) return false;
  session_.get()->request(request);
  return true;
}

// --- the session

void AgentCore::take_session_events() {
  for (session::ClientEvent& event : session_.get()->take_events()) {
    if (const auto error = updates_.take(event)) session_.get()->refuse(*error);
    if (!holdings_.take(event) && !activation_.take(event) && !pass_on(event, effects_))
      std::visit([&](auto& e) { on_event(e); }, event);
  }
}

void AgentCore::on_event(session::client_event::Welcomed& event) {
  if (event.welcome.trust_domain != options_.trust_domain)
    return session_.get()->refuse(
        Error{ErrorCode::kWrongTarget,
              fmt::format("this registry serves trust domain {}, this node is of {}",
                          event.welcome.trust_domain, options_.trust_domain),
              {}});
  dial_.on_welcomed();
  reports_.begin_session();
  for (const wire::Refusal& refusal : event.welcome.refusals) on_refusal(refusal);
  for (const trust::ReleaseRef& head : event.welcome.heads) on_head(head);
  reports_.report_all();
}

void AgentCore::on_refusal(const wire::Refusal& refusal) {
  if (!releases_.follows(refusal.ledger)) return;
  reports_.refuse(refusal.ledger, refusal.message);
  alarms_.raise(
      Error{refusal.code,
            fmt::format("the registry {} {}: {}",
                        refusal.code == ErrorCode::kCorrupt ? "cannot serve" : "does not grant",
                        refusal.ledger.text(), refusal.message),
            {}});
}

void AgentCore::on_head(const trust::ReleaseRef& head) {
  if (!releases_.follows(head.ledger)) return;
  const trust::Floor& known = trust_.trusted().ledgers.at(head.ledger).floor;
  if (head.version < known.version) reports_.see_head(head.ledger, head.version);
  // Versions restart with an epoch, and a head does not state its epoch.
  if (trust_.root().epoch > known.epoch) return;
  if (const auto error = contradiction(head, known)) alarms_.raise(*error);
}

void AgentCore::on_event(session::client_event::OfferStarted& event) {
  const wire::Offer& offer = event.offer;
  if (!releases_.follows(offer.ledger))
    return session_.get()->refuse(
        Error{ErrorCode::kState,
              fmt::format("{} was offered but never wanted", offer.ledger.text()),
              {}});
  reports_.see_offer(offer.ledger, offer.version);
  transfers_.on_offer(offer);
  if (offer.trace)
    effects_.push_back(effect::TracedOffer{offer.ledger, offer.version, offer.size, *offer.trace});
}

void AgentCore::on_event(session::client_event::OfferComplete& event) {
  if (!releases_.follows(event.offer.ledger)) return;
  transfers_.on_complete(event.offer);
  installer_.add(
      {std::move(event.offer), std::make_shared<const Bytes>(std::move(event.artifact))});
}

void AgentCore::on_event(session::client_event::InventoryWanted& event) {
  repair_.on_inventory_wanted(event.ledger, event.form);
}

void AgentCore::on_event(session::client_event::Closed& event) {
  dial_.on_closed(event.error, event.retry_after_ms);
}

// --- results from the host

void AgentCore::on_persist_failed(const store::StoreChange& change, const Error& error, Now now) {
  trust_.tick(now);
  if (const auto* refused = std::get_if<store::change::Quarantine>(&change)) {
    // A restart asks the PDP, or the gate, again.
    alarms_.raise(Error(error).in(fmt::format(
        "{} of {} v{} is not stored",
        refused->error.code == ErrorCode::kGateHeld ? "what the gate says" : "the PDP's refusal",
        refused->ledger.text(), refused->version)));
    return refresh_status();
  }
  alarms_.raise(error);
  reports_.set_trouble(NodeTrouble::kStore,
                       Error(error).in("this node cannot store what it received"));
  // A restart would forget what is trusted now: it is requested again after a pause.
  session_.say_bye("the node's store failed");
  refresh_status();
}

void AgentCore::on_installed(Result<store::StoredRelease> outcome, Now now) {
  trust_.tick(now);
  const ReceivedArtifact installed = installer_.finish();
  transfers_.drop(installed.offer);
  if (outcome)
    if (auto authorised = trust_.take_release(*outcome); !authorised)
      outcome = std::unexpected(std::move(authorised).error());
  if (outcome)
    on_stored(std::move(*outcome), installed.kept_versions);
  else
    installer_.on_failed(installed.offer, outcome.error());
  installer_.start_next();
  refresh_status();
}

void AgentCore::on_stored(store::StoredRelease release, const std::set<uint64_t>& kept_versions) {
  const model::LedgerId ledger = release.ref.ledger;
  const uint64_t version = release.ref.version;
  dial_.mark_trusted();
  repair_.on_stored(ledger);
  reports_.set_install_error(ledger, std::nullopt);
  // The store works again: it now keeps what it could not keep before.
  if (reports_.clear_trouble(NodeTrouble::kStore)) reports_.report_all();
  activation_.forget_failures();
  reports_.report_stored_later(ledger, trust_.ticked_at().boot_ms);
  effects_.push_back(effect::Changed{ledger, version, wire::CommitState::kStored, {}});
  activation_.on_stored(release);
  releases_.add(std::move(release), kept_versions);
  // It came in an earlier session: a registry that has lost it since must learn that it is held.
  if (!reports_.is_shown(ledger, version) && reports_.refusal(ledger).empty())
    session_.want(repair_.want(ledger, /*with_base=*/true));
  activation_.update(/*again=*/false);
}

void AgentCore::on_content_scan(const ScanRequest& request, Result<ContentScan> scan, Now now) {
  trust_.tick(now);
  if (repair_.drop_if_unreadable(request, scan)) activation_.update(/*again=*/false);
  repair_.on_content_scan(request, std::move(scan), activation_.failed());
}

void AgentCore::on_returned(const ReturnJob& job, Result<ReturnedArtifact> artifact, Now now) {
  trust_.tick(now);
  holdings_.on_returned(job, std::move(artifact));
  refresh_status();
}

void AgentCore::on_pdp(const DesiredState& state, const std::optional<Error>& rejected, Now now) {
  trust_.tick(now);
  if (!rejected) {
    activation_.on_activated(state);
  } else if (is_store_failure(rejected->code)) {
    // The store is damaged: none of the state is activated. The registry can send the content
    // again, if it is reachable. Which ledger is damaged is not known yet.
    alarms_.raise(*rejected);
    activation_.on_unreadable(state);
    repair_.on_unreadable(state);
  } else {
    activation_.on_rejected(state, *rejected);
  }
  refresh_status();
}

void AgentCore::on_gate_failed(const Error& error, Now now) {
  trust_.tick(now);
  alarms_.raise(error);
}

void AgentCore::on_path_quarantine(const model::LedgerId& ledger, const std::string& path,
                                   const std::string& reason, Now now) {
  trust_.tick(now);
  if (!releases_.follows(ledger)) return;
  reports_.set_path_quarantine(ledger, path, reason);
  reports_.report_ledger(ledger);
}

void AgentCore::on_unknown_keys(const std::vector<wire::UnknownKey>& keys, Now now) {
  trust_.tick(now);
  for (const wire::UnknownKey& key : keys) updates_.sources().on_unknown_key(key);
}

void AgentCore::on_pdp_trouble(const std::string& reason, Now now) {
  trust_.tick(now);
  if (reports_.set_pdp_trouble(reason)) reports_.report_all();
}

// --- status

std::vector<store::StoreChange> AgentCore::changes_at_stop() const {
  std::vector<store::StoreChange> changes;
  for (const auto& [ledger, version] : releases_.proven())
    changes.emplace_back(store::change::Confirm{ledger, version});
  return changes;
}

AgentStatus AgentCore::status() const {
  AgentStatus status;
  status.connected = session_.get() && session_.get()->is_welcomed();
  status.last_error = dial_.last_error();
  status.alarms = alarms_.list();
  status.log_refused = alarms_.text(AlarmTopic::kLog);
  status.tree_refused = alarms_.text(AlarmTopic::kTree);
  status.receipts_overdue = alarms_.text(AlarmTopic::kReceipts);
  status.root_version = trust_.root().version;
  status.root_expires_ms = trust_.root().expires_ms;
  status.freshness_sequence = trust_.trusted().freshness_sequence;
  status.sources = updates_.sources().known();
  status.as_of_ms = trust_.now_ms();
  status.as_of_boot_ms = trust_.ticked_at().boot_ms;
  for (const model::LedgerId& ledger : releases_.sorted_ledgers())
    status.ledgers.push_back(status_of(ledger, releases_, reports_));
  return status;
}

}  // namespace notp::agent
