// Alarms of this node for the operator. Pure. One thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "notp-client/agent/core/agent_effect.hpp"

namespace notp::agent {

// Conditions that raise one alarm while they last, however often they are detected.
enum class AlarmTopic { kRoot, kFreshness, kLog };

class Alarms {
 public:
  // `effects` outlives this object.
  explicit Alarms(AgentEffects& effects) : effects_(effects) {}

  // Yields an Alarm, and keeps its text for list() if it is new.
  void raise(const Error& error);
  // As raise(), unless this topic's last alarm had the same error code and was not cleared since.
  void raise_once(AlarmTopic topic, const Error& error);
  void clear(AlarmTopic topic) { raised_.erase(topic); }
  // The last error of the topic; empty: none lasts.
  std::string text(AlarmTopic topic) const;
  // The last kAlarmsKept texts, oldest first, each once.
  const std::vector<std::string>& list() const { return texts_; }

 private:
  AgentEffects& effects_;
  std::vector<std::string> texts_;
  std::map<AlarmTopic, Error> raised_;
};

}  // namespace notp::agent
