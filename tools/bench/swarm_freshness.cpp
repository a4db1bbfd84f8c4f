#include "tools/bench/swarm_freshness.hpp"

#include <fmt/format.h>

#include "protocol/session/freshness_update.hpp"

namespace notp::bench {
namespace {

// Of all classes; sessions are at most so many statements apart.
constexpr size_t kStatementsKept = 1'024;

}  // namespace

FreshnessPtr SwarmStatements::find(ByteView signature) const {
  const MutexLock lock(mutex_);
  // Newest first: that is the one that most sessions get now.
  for (auto known = known_.rbegin(); known != known_.rend(); ++known)
    if (known->signature == signature) return known->statement;
  return nullptr;
}

void SwarmStatements::keep(Bytes signature, FreshnessPtr statement) {
  const MutexLock lock(mutex_);
  known_.push_back({std::move(signature), std::move(statement)});
  if (known_.size() > kStatementsKept) known_.pop_front();
}

void SwarmFreshness::begin_session(wire::Hello& hello) {
  own_base_ = class_base_ = nullptr;
  hello.freshness_sequence = trusted_.freshness_sequence;
  hello.class_freshness = true;
  hello.assignment_sequence = trusted_.assignment ? trusted_.assignment->sequence : 0;
}

Result<bool> SwarmFreshness::take_assignment(ByteView envelope,
                                             std::shared_ptr<const trust::Root> root) {
  trusted_.root = std::move(root);
  if (is_verifying_) {
    trust::Update update;
    update.assignment = envelope;
    const trust::Verdict verdict = trust::verify_update(update, trusted_, read_clock().wall_ms);
    if (verdict.error) return std::unexpected(*verdict.error);
    trust::advance(trusted_, verdict);
    return true;
  }
  NOTP_ASSIGN(const trust::Envelope opened,
              trust::decode_envelope(envelope, trust::kAssignmentType));
  NOTP_ASSIGN(trusted_.assignment, trust::Assignment::decode(opened.payload));
  return false;
}

Result<bool> SwarmFreshness::take(const wire::FreshnessUpdate& update,
                                  std::shared_ptr<const trust::Root> root) {
  trusted_.root = std::move(root);
  if (update.of_class) return take_of_class(update);
  NOTP_ASSIGN(own_base_, expand(update, is_verifying_));
  return is_verifying_;
}

Result<bool> SwarmFreshness::take_of_class(const wire::FreshnessUpdate& update) {
  if (FreshnessPtr known = statements_.find(update.signature)) {
    if (!trusted_.assignment || known->class_id != trusted_.assignment->class_id)
      return fail(ErrorCode::kWrongTarget, "a freshness statement for a class of others");
    NOTP_TRY(check_order(known->sequence));
    trusted_.freshness_sequence = known->sequence;
    class_base_ = std::move(known);
    return false;
  }
  NOTP_ASSIGN(class_base_, expand(update, /*verify=*/true));
  statements_.keep(update.signature, class_base_);
  return true;
}

Result<FreshnessPtr> SwarmFreshness::expand(const wire::FreshnessUpdate& update, bool verify) {
  const FreshnessPtr& base = update.of_class ? class_base_ : own_base_;
  const auto class_id =
      trusted_.assignment ? std::optional(trusted_.assignment->class_id) : std::nullopt;
  NOTP_ASSIGN(const trust::Envelope envelope,
              session::expand_freshness_update(update, base.get(), trust_domain_, trusted_.audience,
                                               class_id));
  NOTP_ASSIGN(trust::Freshness statement, trust::Freshness::decode(envelope));
  if (verify) {
    const Bytes bytes = envelope.encode();
    trust::Update what;
    what.freshness = bytes;
    const trust::Verdict verdict = trust::verify_update(what, trusted_, read_clock().wall_ms);
    if (verdict.error) return std::unexpected(*verdict.error);
  }
  NOTP_TRY(check_order(statement.sequence));
  trusted_.freshness_sequence = statement.sequence;
  return std::make_shared<const trust::Freshness>(std::move(statement));
}

Result<void> SwarmFreshness::check_order(uint64_t sequence) const {
  if (sequence > trusted_.freshness_sequence) return {};
  return fail(ErrorCode::kReplay, fmt::format("freshness statement {} after {}", sequence,
                                              trusted_.freshness_sequence));
}

}  // namespace notp::bench
