#include "notp-server/recovery/node_inquiry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace notp::recovery {
namespace {

// Nodes by identity that had a session; beyond it a node counts as silent.
constexpr size_t kHeardMax = 200'000;
// From the greeting of a node to what it holds: both come with its Hello.
constexpr TimeMs kGreetedMs = 300;
// For an answer and its artifact: a node that takes longer is passed over. The session itself ends
// one that sends nothing.
constexpr TimeMs kReturnMs = 180'000;
constexpr uint64_t kReturnBytesPerMs = 128;

}  // namespace

void NodeInquiry::start(serve::PeerQuestions& peers) {
  const MutexLock lock(mutex_);
  peers_ = &peers;
}

void NodeInquiry::stop() {
  const MutexLock lock(mutex_);
  is_stopping_ = true;
  wake_.notify_all();
}

bool NodeInquiry::is_open() const {
  const MutexLock lock(mutex_);
  return peers_ != nullptr && !is_stopping_;
}

// --- the sessions

void NodeInquiry::heard(const std::string& identity) {
  const MutexLock lock(mutex_);
  if (heard_.size() < kHeardMax) heard_.try_emplace(identity, read_clock().boot_ms);
}

void NodeInquiry::holds_more(const serve::SessionHandle& session, const model::LedgerId& ledger,
                             uint64_t above_version) {
  const MutexLock lock(mutex_);
  if (peers_ == nullptr || is_stopping_) return;
  holders_.add(session, ledger, above_version);
  ++news_;
  wake_.notify_all();
}

void NodeInquiry::answered(const serve::SessionHandle& session, wire::Held held) {
  const MutexLock lock(mutex_);
  const auto question = holders_.answered(session.number, held.ledger);
  if (is_stopping_ || !question) return;
  answers_.push_back({session.number, session.identity, question->above_version, std::move(held)});
  ++news_;
  wake_.notify_all();
}

void NodeInquiry::returned(const serve::SessionHandle& session, wire::Return head,
                           std::unique_ptr<session::Upload> artifact) {
  const MutexLock lock(mutex_);
  holders_.set_owing(session.number, false);
  if (open_request_ == 0 || head.request != open_request_) return;
  open_request_ = 0;
  returned_ = Returned{std::move(head), std::move(artifact)};
  ++news_;
  wake_.notify_all();
}

bool NodeInquiry::ended(const serve::SessionHandle& session) {
  const MutexLock lock(mutex_);
  if (holders_.find(session.number) == nullptr) return false;
  holders_.ended(session.number);
  std::erase_if(answers_, [&](const Answer& answer) { return answer.session == session.number; });
  ++news_;
  wake_.notify_all();
  return true;
}

bool NodeInquiry::is_known(uint64_t session) const {
  const MutexLock lock(mutex_);
  return holders_.find(session) != nullptr;
}

std::vector<std::string> NodeInquiry::silent_of(const std::vector<std::string>& nodes) const {
  const MutexLock lock(mutex_);
  const std::set<std::string> unanswered = holders_.unanswered();
  const TimeMs until_ms = read_clock().boot_ms - kGreetedMs;
  std::vector<std::string> out;
  for (const std::string& node : nodes) {
    const auto heard = heard_.find(node);
    if (heard == heard_.end() || heard->second > until_ms || unanswered.contains(node))
      out.push_back(node);
  }
  return out;
}

bool NodeInquiry::note_fault(uint64_t session) {
  const MutexLock lock(mutex_);
  return holders_.note_fault(session);
}

// --- the thread

void NodeInquiry::wake() {
  const MutexLock lock(mutex_);
  ++news_;
  wake_.notify_all();
}

void NodeInquiry::wait(const Idle& idle) {
  MutexLock lock(mutex_);
  while (news_ == idle.news && !is_stopping_) {
    if (idle.due_ms == kNever) {
      wake_.wait(lock);
      continue;
    }
    const TimeMs left_ms = idle.due_ms - read_clock().boot_ms;
    if (left_ms <= 0) return;
    wake_.wait_for(lock, std::chrono::milliseconds(left_ms));
  }
}

std::optional<NodeInquiry::Idle> NodeInquiry::step() {
  std::vector<Holders::Question> questions;
  std::optional<Answer> answer;
  serve::PeerQuestions* peers = nullptr;
  {
    const MutexLock lock(mutex_);
    const TimeMs now_ms = read_clock().boot_ms;
    const Idle idle{news_, holders_.expire(now_ms)};
    while (auto question = holders_.next(now_ms)) questions.push_back(*std::move(question));
    peers = peers_;
    if (questions.empty()) {
      if (answers_.empty()) return idle;
      answer = std::move(answers_.front());
      answers_.pop_front();
    }
  }
  for (const Holders::Question& question : questions)
    peers->ask_held(question.session, {.ledger = question.ledger,
                                       .above_version = question.above_version,
                                       .root_version = newest_root_()});
  if (answer) take_in_(*answer);
  return std::nullopt;
}

void NodeInquiry::ask_again(uint64_t session, const model::LedgerId& ledger,
                            uint64_t above_version) {
  const MutexLock lock(mutex_);
  holders_.ask_again(session, ledger, above_version);
}

void NodeInquiry::ask_all_again(const model::LedgerId& ledger, uint64_t above_version) {
  const MutexLock lock(mutex_);
  for (const uint64_t session : holders_.asked_about(ledger))
    holders_.ask_again(session, ledger, above_version);
}

void NodeInquiry::wait_for_answers() {
  for (;;) {
    const auto idle = step();
    {
      const MutexLock lock(mutex_);
      if (is_stopping_ || (!holders_.is_asking() && answers_.empty())) return;
    }
    if (idle) wait(*idle);
  }
}

std::optional<serve::SessionHandle> NodeInquiry::choose(const std::set<uint64_t>& sessions,
                                                        const std::set<uint64_t>& tried) const {
  const MutexLock lock(mutex_);
  for (const uint64_t number : sessions) {
    const serve::SessionHandle* const session = holders_.find(number);
    if (session != nullptr && !tried.contains(number) && !holders_.owes(number)) return *session;
  }
  return std::nullopt;
}

Result<NodeInquiry::Returned> NodeInquiry::fetch(const serve::SessionHandle& session,
                                                 const LostRelease& lost, uint64_t base_version) {
  const TimeMs due_ms =
      read_clock().boot_ms + kReturnMs + static_cast<TimeMs>(lost.total_bytes / kReturnBytesPerMs);
  wire::ReturnRequest request{.ledger = lost.ref.ledger,
                              .version = lost.ref.version,
                              .release_hash = lost.ref.release_hash,
                              .base_version = base_version};
  serve::PeerQuestions* peers = nullptr;
  {
    const MutexLock lock(mutex_);
    peers = peers_;
    request.request = open_request_ = next_request_++;
    returned_.reset();
    holders_.set_owing(session.number, true);
  }
  peers->ask_return(session, request);
  while (read_clock().boot_ms < due_ms) {
    auto idle = step();
    {
      const MutexLock lock(mutex_);
      if (returned_) return *std::exchange(returned_, std::nullopt);
      if (is_stopping_) return fail(ErrorCode::kCancelled, "the registry stops");
    }
    if (!idle) continue;
    idle->due_ms = std::min(idle->due_ms, due_ms);
    wait(*idle);
  }
  const MutexLock lock(mutex_);
  open_request_ = 0;
  return fail(ErrorCode::kTimeout,
              fmt::format("{} v{} did not come in time", lost.ref.ledger.text(), lost.ref.version));
}

}  // namespace notp::recovery
