#include "notp-server/recovery/holders.hpp"

#include <utility>

namespace notp::recovery {

void Holders::add(const serve::SessionHandle& session, const model::LedgerId& ledger,
                  uint64_t above_version) {
  Session& known = sessions_[session.number];
  known.handle = session;
  enqueue(known, ledger, above_version);
}

bool Holders::ask_again(uint64_t session, const model::LedgerId& ledger, uint64_t above_version) {
  const auto known = sessions_.find(session);
  return known != sessions_.end() && enqueue(known->second, ledger, above_version);
}

bool Holders::enqueue(Session& session, const model::LedgerId& ledger, uint64_t above_version) {
  Asked& asked = session.ledgers[ledger];
  if (asked.is_waiting || asked.due_ms || asked.questions >= kQuestionsMax) return false;
  asked.is_waiting = true;
  asked.above_version = above_version;
  waiting_.emplace_back(session.handle.number, ledger);
  return true;
}

void Holders::ended(uint64_t number) {
  const auto session = sessions_.find(number);
  if (session == sessions_.end()) return;
  for (const auto& [ledger, asked] : session->second.ledgers)
    if (asked.due_ms) --open_;
  sessions_.erase(session);
  std::erase_if(waiting_, [&](const auto& entry) { return entry.first == number; });
}

std::optional<Holders::Question> Holders::next(TimeMs now_ms) {
  if (waiting_.empty() || open_ >= kOpenQuestionsMax) return std::nullopt;
  auto [number, ledger] = std::move(waiting_.front());
  waiting_.pop_front();
  Session& session = sessions_.at(number);
  Asked& asked = session.ledgers.at(ledger);
  asked.is_waiting = false;
  ++asked.questions;
  asked.due_ms = now_ms + kQuestionMs;
  due_.push_back({number, ledger, *asked.due_ms});
  ++open_;
  return Question{session.handle, std::move(ledger), asked.above_version};
}

std::optional<Holders::Question> Holders::answered(uint64_t number, const model::LedgerId& ledger) {
  const auto session = sessions_.find(number);
  if (session == sessions_.end()) return std::nullopt;
  const auto asked = session->second.ledgers.find(ledger);
  if (asked == session->second.ledgers.end() || !asked->second.due_ms) return std::nullopt;
  asked->second.due_ms.reset();
  --open_;
  return Question{session->second.handle, ledger, asked->second.above_version};
}

TimeMs Holders::expire(TimeMs now_ms) {
  for (; !due_.empty(); due_.pop_front()) {
    const Due& first = due_.front();
    const auto session = sessions_.find(first.session);
    if (session == sessions_.end()) continue;
    Asked& asked = session->second.ledgers.at(first.ledger);
    if (asked.due_ms != first.due_ms) continue;  // answered
    if (first.due_ms > now_ms) return first.due_ms;
    asked.due_ms.reset();
    --open_;
  }
  return kNever;
}

std::set<std::string> Holders::unanswered() const {
  std::set<std::string> out;
  for (const auto& [number, session] : sessions_)
    for (const auto& [ledger, asked] : session.ledgers)
      if (asked.is_waiting || asked.due_ms) out.insert(session.handle.identity);
  return out;
}

const serve::SessionHandle* Holders::find(uint64_t session) const {
  const auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : &found->second.handle;
}

void Holders::set_owing(uint64_t session, bool owes) {
  const auto found = sessions_.find(session);
  if (found != sessions_.end()) found->second.owes = owes;
}

bool Holders::owes(uint64_t session) const {
  const auto found = sessions_.find(session);
  return found != sessions_.end() && found->second.owes;
}

bool Holders::note_fault(uint64_t session) {
  const auto found = sessions_.find(session);
  return found != sessions_.end() && !std::exchange(found->second.has_fault, true);
}

std::vector<uint64_t> Holders::asked_about(const model::LedgerId& ledger) const {
  std::vector<uint64_t> out;
  for (const auto& [number, session] : sessions_)
    if (session.ledgers.contains(ledger)) out.push_back(number);
  return out;
}

}  // namespace notp::recovery
