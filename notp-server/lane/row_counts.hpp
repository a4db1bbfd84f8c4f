// Counts and sizes that every store of events keeps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "notp-server/lane/event_store.hpp"

namespace notp::lane {

inline uint64_t& count_of(StoreState& state, feed::EventKind kind) {
  switch (kind) {
    case feed::EventKind::kMark:
      return state.marks;
    case feed::EventKind::kList:
      return state.lists;
    case feed::EventKind::kDeleted:
      return state.deleted;
    case feed::EventKind::kToken:
      break;
  }
  return state.tokens;
}

// About as many as the event takes in a statement, rather more.
inline size_t bytes_of(const feed::Event& event) {
  constexpr size_t kFrame = 64, kText = 3;
  const feed::TokenRecord& record = event.record;
  size_t bytes = kFrame + event.list.size() + record.iss.size() + record.sub.size() +
                 record.client.size() + record.scope.size() + record.acr.size() +
                 record.sid.size() + record.cnf.size();
  for (const auto* list : {&record.aud, &record.amr})
    for (const std::string& text : *list) bytes += text.size() + kText;
  return bytes;
}

}  // namespace notp::lane
