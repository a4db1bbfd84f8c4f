#include "notp-server/recovery/recovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/utf8_cut.hpp"

namespace notp::recovery {
namespace {

constexpr size_t kNamedMax = 5;  // nodes and ledgers in one message
constexpr size_t kRowMessageBytesMax = 400;
constexpr size_t kRowBytes = 200;  // besides the message
constexpr size_t kPageBytesMax = limits::kFrameBytesMax / 2;

std::string names_text(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kNamedMax); ++i)
    out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kNamedMax ? out + ", …" : out;
}

}  // namespace

Result<std::unique_ptr<Recovery>> Recovery::open(RecoveryParts parts) {
  NOTP_ASSIGN(const auto mark, registry::read_restored_mark(parts.data_dir));
  if (mark)
    log::warn(
        "registry_restored",
        {{"restored", utc_time(mark->restored_ms)},
         {"backup_made", mark->backup_made_ms == 0 ? "" : utc_time(mark->backup_made_ms)},
         {"message",
          "nodes may have releases that this registry lacks: nothing can be published, and no "
          "freshness is signed, until an administrator has run 'notp registry recover'"}});
  return std::unique_ptr<Recovery>(new Recovery(std::move(parts), mark));
}

Recovery::Recovery(RecoveryParts parts, std::optional<registry::RestoredMark> mark)
    : parts_(std::move(parts)),
      losses_(parts_.registry, parts_.roots, mark),
      inquiry_([this](const NodeInquiry::Answer& answer) { take_in(answer); },
               [this] { return losses_.newest_root(); }),
      job_(parts_, losses_, inquiry_) {}

Recovery::~Recovery() { stop(); }

void Recovery::start(serve::PeerQuestions& peers, RecoveryEffects effects) {
  effects_ = std::move(effects);
  inquiry_.start(peers);
  thread_ = std::thread([this] { run(); });
}

void Recovery::stop() {
  inquiry_.stop();
  if (thread_.joinable()) thread_.join();
}

// --- what nodes say

void Recovery::on_holds_more(const serve::SessionHandle& session,
                             const session::server_event::HoldsMore& more) {
  inquiry_.holds_more(session, more.ledger, losses_.head_of(more.ledger));
}

void Recovery::on_held(const serve::SessionHandle& session, wire::Held held) {
  inquiry_.answered(session, std::move(held));
}

void Recovery::on_returned(const serve::SessionHandle& session, wire::Return head,
                           std::unique_ptr<session::Upload> artifact) {
  inquiry_.returned(session, std::move(head), std::move(artifact));
}

void Recovery::on_session_end(const serve::SessionHandle& session) {
  if (inquiry_.ended(session)) losses_.session_ended(session.number);
}

void Recovery::take_in(const NodeInquiry::Answer& answer) {
  const Losses::TakenIn taken = losses_.take_in(answer.held, answer.session, answer.identity);
  if (!inquiry_.is_known(answer.session)) return losses_.session_ended(answer.session);
  if (!taken.faults.empty() && inquiry_.note_fault(answer.session))
    log::write(log::Level::kWarn, "held_refused", taken.faults.front(),
               {{"identity", answer.identity}, {"ledger", answer.held.ledger.text()}});
  // An answer may be cut short. The last one brings nothing new.
  if (taken.newest > answer.above_version)
    inquiry_.ask_again(answer.session, answer.held.ledger, taken.newest);
}

// --- the thread

void Recovery::run() {
  while (inquiry_.is_open()) {
    const auto idle = inquiry_.step();
    if (!idle) continue;
    std::optional<RecoveryOrder> order;
    {
      const MutexLock lock(mutex_);
      order = std::exchange(order_, std::nullopt);
    }
    if (!order) {
      inquiry_.wait(*idle);
      continue;
    }
    job_.run(*order, effects_);
    losses_.set_running(false);
    const MutexLock lock(mutex_);
    is_running_ = false;
  }
}

// --- administrators

bool Recovery::is_running() const {
  const MutexLock lock(mutex_);
  return is_running_;
}

Result<void> Recovery::check_silent(const std::vector<std::string>& known) const {
  const std::vector<std::string> silent = inquiry_.silent_of(known);
  if (silent.empty()) return {};
  return fail(ErrorCode::kConflict,
              fmt::format("{} of {} nodes have not been heard since this registry started, and may "
                          "have what no other has: {}. Wait for them, or say --accept-silent",
                          silent.size(), known.size(), names_text(silent)));
}

Result<void> Recovery::check_missing() const {
  const std::vector<std::string> missing = losses_.missing();
  if (missing.empty()) return {};
  return fail(ErrorCode::kConflict,
              fmt::format("no connected node holds {}. Wait for a node that does, or say "
                          "--accept-missing: they are lost then for good",
                          names_text(missing)));
}

Result<void> Recovery::recover(const wire::Recover& what, const std::string& administrator) {
  if (!inquiry_.is_open())
    return fail(ErrorCode::kUnavailable, "the registry is about to start or to stop");
  if (is_running()) return {};
  if (!losses_.mark() && losses_.is_whole()) return {};
  if (!what.accept_silent) {
    NOTP_ASSIGN(const std::vector<std::string> known, effects_.known_nodes());
    NOTP_TRY(check_silent(known));
  }
  if (!what.accept_missing) NOTP_TRY(check_missing());
  RecoveryOrder order{what, administrator, {}};
  if (what.accept_missing) order.given_up = losses_.give_up_missing();
  {
    const MutexLock lock(mutex_);
    if (std::exchange(is_running_, true)) return {};
    order_ = std::move(order);
  }
  losses_.set_running(true);
  job_.forget_errors();
  inquiry_.wake();
  return {};
}

Result<wire::RecoveryStatus> Recovery::status(const wire::RecoveryRequest& request) {
  std::vector<std::string> known;
  if (effects_.known_nodes) {
    NOTP_ASSIGN(known, effects_.known_nodes());
  }
  wire::RecoveryStatus out;
  out.is_running = is_running();
  if (const auto mark = losses_.mark()) {
    out.restored_ms = mark->restored_ms;
    out.backup_ms = mark->backup_made_ms;
  }
  out.root_version = parts_.roots.newest();
  out.newest_root = losses_.newest_root();
  out.nodes = known.size();
  out.silent_nodes = inquiry_.silent_of(known);
  out.silent = out.silent_nodes.size();
  if (out.silent > limits::kSilentListedMax) out.silent_nodes.resize(limits::kSilentListedMax);
  std::set<model::LedgerId> ledgers;
  for (const model::LedgerId& ledger : job_.recovered()) ledgers.insert(ledger);
  for (const model::LedgerId& ledger : losses_.ledgers()) ledgers.insert(ledger);
  size_t bytes = 0;
  for (const model::LedgerId& ledger : ledgers) {
    if (request.after && ledger <= *request.after) continue;
    wire::RecoveryRow row = losses_.row(ledger);
    job_.complete(row);
    row.message = std::string(utf8_cut(row.message, kRowMessageBytesMax));
    bytes += kRowBytes + row.message.size();
    out.more = out.rows.size() == limits::kQueryRowsMax || bytes > kPageBytesMax;
    if (out.more) break;
    out.rows.push_back(std::move(row));
  }
  return out;
}

Recovery::Facts Recovery::facts() const {
  return {losses_.facts(), is_running(), job_.recovered_total()};
}

}  // namespace notp::recovery
