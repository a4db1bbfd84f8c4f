#include "notp-server/service/work_lanes.hpp"

#include "notp-server/service/lane_limits.hpp"

namespace notp::service {
WorkPools::WorkPools(size_t workers, size_t validations_at_once)
    : queries(workers),
      artifacts(workers),
      validations(validations_at_once),
      orders(limits::kOrderThreads),
      now_publishes(limits::kNowPublishThreads),
      audits(limits::kAuditThreads) {}

void WorkPools::join() {
  for (transport::OffloadPool* pool :
       {&queries, &artifacts, &validations, &orders, &now_publishes, &audits})
    pool->join();
}

WorkLanes::WorkLanes(WorkPools& pools, size_t workers, size_t validations_at_once)
    : queries(pools.queries, "questions",
              {.running_max = workers,
               .running_per_key_max = limits::kQueriesAtOnceMax,
               .waiting_max = limits::kQueriesWaitingMax,
               .waiting_per_key_max = limits::kQueriesWaitingPerIdentityMax}),
      artifacts(pools.artifacts, "artifacts",
                {.running_max = workers,
                 .running_per_key_max = limits::kArtifactsAtOnceMax,
                 .waiting_max = limits::kArtifactsWaitingMax,
                 .waiting_per_key_max = limits::kArtifactsWaitingPerIdentityMax}),
      validations(pools.validations, "validations",
                  {.running_max = validations_at_once,
                   .running_per_key_max = 1,
                   .waiting_max = limits::kPublishesWaitingMax,
                   .waiting_per_key_max = limits::kPublishesWaitingPerIdentityMax,
                   .budget_ms = limits::kValidationBudgetMs,
                   .refill_factor = limits::kValidationRefillFactor}),
      orders(pools.orders, "orders",
             {.running_max = limits::kOrderThreads,
              .running_per_key_max = 1,
              .waiting_max = limits::kOrdersWaitingMax,
              .waiting_per_key_max = limits::kOrdersWaitingPerIdentityMax}),
      now_publishes(pools.now_publishes, "signed releases",
                    {.running_max = limits::kNowPublishThreads,
                     .running_per_key_max = 1,
                     .waiting_max = limits::kPublishesWaitingMax,
                     .waiting_per_key_max = limits::kPublishesWaitingPerIdentityMax,
                     .budget_ms = limits::kValidationBudgetMs,
                     .refill_factor = limits::kValidationRefillFactor}),
      audits(pools.audits, "audit questions",
             {.running_max = limits::kAuditThreads,
              .running_per_key_max = 1,
              .waiting_max = limits::kAuditsWaitingMax,
              .waiting_per_key_max = limits::kAuditsWaitingPerIdentityMax}) {}

void WorkLanes::close() {
  for (serve::FairLane* lane :
       {&queries, &artifacts, &validations, &orders, &now_publishes, &audits})
    lane->close();
}

size_t WorkLanes::waiting() const {
  size_t sum = 0;
  for (const serve::FairLane* lane :
       {&queries, &artifacts, &validations, &orders, &now_publishes, &audits})
    sum += lane->waiting();
  return sum;
}

serve::FairLane& WorkLanes::lane_of(wire::RequestKind kind) {
  switch (kind) {
    case wire::RequestKind::kQuery:
      return queries;
    case wire::RequestKind::kCommand:
      return orders;
    case wire::RequestKind::kPublish:
      return now_publishes;
    case wire::RequestKind::kAudit:
      return audits;
  }
  return queries;
}

}  // namespace notp::service
