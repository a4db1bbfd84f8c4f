// The story of a registry that lies about decision records and its tree, and how that is noticed.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "tests/sim/world_run.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kSecondMs = 1'000;
constexpr TimeMs kDecisionsEndMs = 180 * kSecondMs;
constexpr TimeMs kLieFirstMs = 60 * kSecondMs, kLieLastMs = 110 * kSecondMs;
// What gets no receipt must be overdue by then.
constexpr TimeMs kStoryMs = kDecisionsEndMs + agent::kReceiptOverdueMs + 60 * kSecondMs;

}  // namespace

void World::tell_tree_attack() {
  for (auto& agent : agents_) at(between(0, 2'000), [this, &agent = *agent] { boot(agent); });
  for (const model::LedgerId& ledger : registry_.ledgers())
    at(2'500, [this, ledger] { publish(ledger, /*pdp_may_refuse=*/false); });
  logs_.begin(kDecisionsEndMs);
  // Honest trouble, which must not look like a lie.
  for (uint64_t i = 0, n = random().below(8); i < n; ++i)
    at(between(10 * kSecondMs, kDecisionsEndMs), [this] {
      Agent& agent = *agents_[random().below(agents_.size())];
      if (!agent.core) return;
      if (chance(2)) return crash(agent);
      cut(agent);
      settle(agent);
    });
  logs_.begin_attack(options_.tree_attack, between(kLieFirstMs, kLieLastMs));
  run_until(now_ms_ + kStoryMs);
}

// --- the lies

void LogWorld::begin_attack(TreeAttack attack, TimeMs when_ms) {
  attack_ = attack;
  victim_ = world_.random().below(sites_.size());
  if (attack == TreeAttack::kRollBack) world_.at(when_ms / 2, [this] { intake_.take_backup(); });
  world_.at(when_ms, [this] { tell_lie(); });
  // The registry ends and starts in between, and makes its leaves up.
  if (world_.chance(3))
    world_.at(world_.between(kLieFirstMs / 2, kDecisionsEndMs), [this] { restart_registry(); });
}

void LogWorld::tell_lie() {
  world_.note("attack", victim_, std::string(tree_attack_name(attack_)));
  if (attack_ == TreeAttack::kRollBack)
    has_lied_ = intake_.restore(/*is_honest=*/false);
  else if (attack_ != TreeAttack::kControl)
    has_lied_ = intake_.attack(attack_, victim_);
  if (!has_lied_) return;
  switch (attack_) {
    case TreeAttack::kRollBack:
    case TreeAttack::kShrink:
    case TreeAttack::kOtherKey:
    case TreeAttack::kFork:
      return cut_sessions();
    default:
      return;
  }
}

namespace {

std::shared_ptr<audit::StoredSegment> copy_of(const MemoryAuditStore::SegmentPtr& segment) {
  return std::make_shared<audit::StoredSegment>(*segment);
}

// The leaves of a segment as it is stored.
std::vector<Hash> leaves_of(const record::Segment& segment) {
  return record::leaf_hashes(segment.head,
                             record::OpenedSegment::open(segment.head, segment.body).value());
}

void delete_body(MemoryAuditStore::Log& log) {
  auto& oldest = log.segments.front();
  const auto bare = copy_of(oldest);
  bare->segment.subtrees = record::subtrees(bare->segment.head.first, leaves_of(bare->segment));
  bare->segment.body.clear();
  oldest = bare;
}

// The newest segment with a record that the node never wrote, and the node's signature under it.
void rewrite_end(MemoryAuditStore::Log& log, size_t node, const PrivateKey& key) {
  const auto segment = copy_of(log.segments.back());
  record::SegmentHead& head = segment->segment.head;
  record::Frontier tree =
      log.segments.size() > 1 ? log.segments[log.segments.size() - 2]->tree : record::Frontier();
  const auto opened = record::OpenedSegment::open(head, segment->segment.body);
  record::SegmentBuilder builder(head.first, head.secret);
  for (size_t i = 0; i < opened->records().size(); ++i) {
    record::Record record = record::decode(opened->records()[i]).value();
    if (i + 1 == opened->records().size()) record.time_ns += 1;
    builder.add(record::encode(record), tree);
  }
  segment->segment = std::move(builder)
                         .seal(head.log, tree, record::log_origin(node_id(node), head.log), key)
                         .value();
  segment->tree = log.state.tree = tree;
  log.segments.back() = segment;
}

void drop_end(MemoryAuditStore::Log& log) {
  log.segments.pop_back();
  log.state.tree = log.segments.back()->tree;
}

void swap_records(MemoryAuditStore::Log& a, MemoryAuditStore::Log& b) {
  const auto first = copy_of(a.segments.front()), second = copy_of(b.segments.front());
  std::swap(first->segment.body, second->segment.body);
  std::swap(first->segment.head.secret, second->segment.head.secret);
  std::swap(first->segment.head.content_bytes, second->segment.head.content_bytes);
  a.segments.front() = first;
  b.segments.front() = second;
}

// False: the store has too little for that.
bool falsify(MemoryAuditStore::Image& store, TreeAttack attack) {
  const auto log = std::ranges::find_if(
      store.logs, [](const auto& each) { return each.second.segments.size() >= 2; });
  if (log == store.logs.end()) return false;
  MemoryAuditStore::Log& of = log->second;
  size_t node = 0;
  while (node_id(node) != of.state.node) ++node;
  switch (attack) {
    case TreeAttack::kDropSegment:
      of.segments.erase(of.segments.begin());
      return true;
    case TreeAttack::kDropEnd:
      drop_end(of);
      return true;
    case TreeAttack::kDropLog:
      store.logs.erase(log);
      return true;
    case TreeAttack::kRewrite:
      rewrite_end(of, node, *log_key(node, 0).key);
      return true;
    case TreeAttack::kSwap: {
      const auto other = std::next(log);
      if (other == store.logs.end() || other->second.segments.empty()) return false;
      swap_records(of, other->second);
      return true;
    }
    case TreeAttack::kDeleteSilently:
    case TreeAttack::kControl:
      delete_body(of);
      return true;
    default:
      return true;
  }
}

}  // namespace

// --- how they are noticed

void LogWorld::check_evidence(size_t node) {
  const Site& site = *sites_[node];
  if (!site.evidence || site.evidence->first != site.log->table().key.log) return;
  const record::Position witnessed = tree_witness(node).witnessed;
  if (site.log->sealed().first > std::max(site.evidence->second, witnessed))
    world_.violation(node, fmt::format("it has deleted records up to {}, which a registry that it "
                                       "refuses has acknowledged, and has receipts up to {}",
                                       site.log->sealed().first, witnessed));
}

bool LogWorld::lacks_receipts(size_t node) const {
  if (!sites_[node]->log) return false;
  const agent::TreeWitness now = tree_witness(node);
  return now.is_known && now.acknowledged > now.witnessed && world_.is_running(node);
}

void LogWorld::check_attack(const AuditVerify& verify, Verdict& verdict) {
  for (size_t node = 0; node < sites_.size(); ++node) check_evidence(node);
  const auto notice = [&](std::string how) {
    if (verdict.attack_noticed.empty()) verdict.attack_noticed = std::move(how);
  };
  for (size_t node = 0; node < sites_.size(); ++node)
    if (world_.is_running(node) && !world_.tree_refused(node).empty())
      notice("refused: " + world_.tree_refused(node));
  if (attack_ == TreeAttack::kLeaveOut && world_.is_running(victim_) &&
      !world_.receipts_overdue(victim_).empty())
    notice("overdue: " + world_.receipts_overdue(victim_));
  MemoryAuditStore::Image store = intake_.store().image();
  SimTree& tree = intake_.tree();
  if (verify && tree.part().size > 0) {
    if (attack_ == TreeAttack::kFork)
      has_lied_ = has_lied_ && !tree.misled().empty();
    else if (attack_ > TreeAttack::kFork)
      has_lied_ = falsify(store, attack_) && has_lied_;
    else if (attack_ == TreeAttack::kControl && falsify(store, attack_))
      tree.state_deletion(store);
    std::vector<record::Checkpoint> kept;
    for (size_t node = 0; node < sites_.size(); ++node)
      if (const auto each = kept_checkpoint(node)) kept.push_back(*each);
    for (const std::string& finding : verify(store, tree.part(), kept)) notice("found: " + finding);
  }
  const bool was_told = attack_ == TreeAttack::kLeaveOut ? lacks_receipts(victim_)
                        : attack_ >= TreeAttack::kFork   ? has_lied_ && verify
                                                         : tree.lies() > 0;
  if (attack_ == TreeAttack::kControl) {
    if (!verdict.attack_noticed.empty())
      world_.violation(0, "an honest registry is blamed: " + verdict.attack_noticed);
  } else if (was_told && verdict.attack_noticed.empty()) {
    world_.violation(victim_, fmt::format("nobody has noticed what the registry did: {}",
                                          tree_attack_name(attack_)));
  } else if (!was_told) {
    verdict.attack_noticed.clear();
  }
}

}  // namespace notp::sim
