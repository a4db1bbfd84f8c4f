// The part of AgentCore that finds out what is left of the store after damage, and tells a registry
// that knows none of this node's releases what there is to build on.
#include <fmt/format.h>

#include "notp-client/agent/agent_core.hpp"

// NOTP_PLANTED_…: bugs on demand. A simulation that does not find each of them proves nothing.

namespace notp {

void AgentCore::on_event(client_event::InventoryWanted& event) {
  const auto run = ledgers_.find(event.ledger);
  if (run == ledgers_.end() || run->second.releases.empty())
    return session_->inventory(event.ledger, Inventory{});
  take_stock(event.ledger, run->second.releases.front().ref.version, event.form);
}

void AgentCore::take_stock(const LedgerId& ledger, uint64_t version,
                           std::optional<InventoryForm> form) {
  effects_.push_back(agent_effect::TakeStock{{ledger, version, form}});
}

// Damage in the store: nothing of it is activated. The registry has the content, if it can be
// reached. Which ledger it is is not known yet.
void AgentCore::on_unreadable(const Goal& goal, const Error& error) {
  alarm(error);
  if (attempt_ && same_goal(*attempt_, goal)) attempt_.reset();
  set_futile(goal);
  damage_found_ = false;
  for (const auto& [ledger, release] : goal) {
#ifdef NOTP_PLANTED_NEVER_LOOK
    continue;
#endif
    suspects_.insert(ledger);
    take_stock(ledger, release.version, std::nullopt);
  }
}

void AgentCore::on_stock(const StockRequest& request, Result<Stock> stock, Now now) {
  trust_.tick(now);
  const LedgerId& ledger = request.ledger;
  LedgerRun& run = ledgers_.at(ledger);
  const bool is_newest =
      !run.releases.empty() && run.releases.front().ref.version == request.version;
  const bool is_suspect = suspects_.contains(ledger);
  const bool is_damaged = !stock || !stock->lacks.empty();
  if (is_damaged && !is_newest)
    give_up(ledger, request.version, stock ? ErrorCode::kCorrupt : stock.error().code);
  // An older release that the PDP should have decided with nobody sends again. One that a delta
  // stood on need not be whole: the head is wanted.
  if (is_newest || !is_suspect) {
    if (stock) run.held = Held{request.version, std::move(stock->lacks)};
    if (!stock)
      fetch_full(ledger);
    else if (request.form)
      tell_inventory(ledger, std::move(stock->inventory));
    else if (is_damaged)
      repair(ledger);
    else if (!is_suspect)
      fetch_full(ledger);  // the base is sound, so it was the delta
  }
  damage_found_ |= is_damaged;
  if (suspects_.erase(ledger) == 0 || !suspects_.empty() || damage_found_ || !futile_) return;
  // It reads well now and did not before: whatever that was, what is brought anew is sound.
  for (const auto& [suspect, release] : *futile_) fetch_full(suspect);
}

void AgentCore::tell_inventory(const LedgerId& ledger, Inventory inventory) {
  if (session_ && !session_->is_closed()) session_->inventory(ledger, std::move(inventory));
}

// The release is no fallback any more. That the store has dropped it is no damage: the PDP may keep
// what it decides with for longer.
void AgentCore::give_up(const LedgerId& ledger, uint64_t version, ErrorCode why) {
  if (why != ErrorCode::kNotFound)
    alarm(Error{why,
                fmt::format("{} v{} cannot be read from the store any more; look at this node's "
                            "disk",
                            ledger.text(), version),
                {}});
  ledgers_.at(ledger).unreadable.insert(version);
  try_activation(/*again=*/false);
}

// Asks for what is damaged, and for no more.
void AgentCore::repair(const LedgerId& ledger) {
  LedgerRun& run = ledgers_.at(ledger);
  const size_t damaged = run.held->lacks.size();
  alarm(Error{ErrorCode::kCorrupt,
              fmt::format("{} of the stored contents of {} v{} cannot be read: this node fetches "
                          "them again from its registry, when it can be reached; look at its disk",
                          damaged, ledger.text(), run.held->version),
              {}});
  if (damaged > limits::kLacksMax) return fetch_full(ledger);
  if (session_ && !session_->is_closed())
    session_->want({make_want(ledger, run, /*with_base=*/true)});
}

// Until it has come, this session and the next ones ask for it.
void AgentCore::fetch_full(const LedgerId& ledger) {
  LedgerRun& run = ledgers_.at(ledger);
  run.damaged = true;
  if (session_ && !session_->is_closed())
    session_->want({make_want(ledger, run, /*with_base=*/false)});
}

}  // namespace notp
