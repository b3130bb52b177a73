#include "common/route/graph.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace signalbox {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// Tarjan's strongly connected components with an explicit stack. component[i] is the component's number.
std::vector<uint32_t> Components(const Graph& graph, uint32_t& count) {
  const uint32_t n = static_cast<uint32_t>(graph.size());
  std::vector<uint32_t> component(n, kNone), index(n, kNone), low(n, 0), pending;
  struct Frame {
    uint32_t node;
    size_t edge;
  };
  std::vector<Frame> frames;
  uint32_t next_index = 0;
  count = 0;
  for (uint32_t root = 0; root < n; ++root) {
    if (index[root] != kNone) continue;
    frames.push_back({root, 0});
    index[root] = low[root] = next_index++;
    pending.push_back(root);
    while (!frames.empty()) {
      const uint32_t node = frames.back().node;
      if (frames.back().edge < graph[node].size()) {
        const uint32_t to = graph[node][frames.back().edge++];
        if (index[to] == kNone) {
          index[to] = low[to] = next_index++;
          pending.push_back(to);
          frames.push_back({to, 0});
        } else if (component[to] == kNone) {
          low[node] = std::min(low[node], index[to]);
        }
        continue;
      }
      if (low[node] == index[node]) {
        uint32_t member = kNone;
        do {
          member = pending.back();
          pending.pop_back();
          component[member] = count;
        } while (member != node);
        ++count;
      }
      frames.pop_back();
      if (!frames.empty()) low[frames.back().node] = std::min(low[frames.back().node], low[node]);
    }
  }
  return component;
}

// The shortest way from `start` back to itself within its component; empty when there is none.
std::vector<uint32_t> CycleThrough(const Graph& graph, const std::vector<uint32_t>& component, uint32_t start) {
  std::vector<uint32_t> came_from(graph.size(), kNone);
  std::vector<uint32_t> queue = {start};
  for (size_t head = 0; head < queue.size(); ++head) {
    const uint32_t node = queue[head];
    for (uint32_t to : graph[node]) {
      if (to == start) {
        std::vector<uint32_t> cycle = {node};
        while (cycle.back() != start) cycle.push_back(came_from[cycle.back()]);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (component[to] != component[start] || came_from[to] != kNone) continue;
      came_from[to] = node;
      queue.push_back(to);
    }
  }
  return {};
}

}  // namespace

std::vector<bool> Reachable(const Graph& graph, const std::vector<uint32_t>& from) {
  std::vector<bool> reached(graph.size(), false);
  std::vector<uint32_t> pending;
  for (uint32_t node : from) {
    if (!reached[node]) pending.push_back(node);
    reached[node] = true;
  }
  while (!pending.empty()) {
    const uint32_t node = pending.back();
    pending.pop_back();
    for (uint32_t to : graph[node]) {
      if (!reached[to]) pending.push_back(to);
      reached[to] = true;
    }
  }
  return reached;
}

std::vector<std::vector<uint32_t>> FindCycles(const Graph& graph) {
  uint32_t count = 0;
  const std::vector<uint32_t> component = Components(graph, count);
  std::vector<bool> seen(count, false);
  std::vector<std::vector<uint32_t>> cycles;
  for (uint32_t node = 0; node < graph.size(); ++node) {
    if (seen[component[node]]) continue;
    seen[component[node]] = true;
    // In a component of several every node is on a cycle, so its first node speaks for it.
    if (std::vector<uint32_t> cycle = CycleThrough(graph, component, node); !cycle.empty())
      cycles.push_back(std::move(cycle));
  }
  return cycles;
}

std::vector<uint32_t> BreadthFirst(const Graph& graph, uint32_t start) {
  std::vector<bool> reached(graph.size(), false);
  std::vector<uint32_t> order = {start};
  reached[start] = true;
  for (size_t head = 0; head < order.size(); ++head) {
    for (uint32_t to : graph[order[head]]) {
      if (reached[to]) continue;
      reached[to] = true;
      order.push_back(to);
    }
  }
  return order;
}

std::vector<uint32_t> TopologicalOrder(const Graph& graph, uint32_t start) {
  const std::vector<uint32_t> breadth_first = BreadthFirst(graph, start);
  std::vector<uint32_t> rank(graph.size(), 0), incoming(graph.size(), 0);
  for (uint32_t i = 0; i < breadth_first.size(); ++i) rank[breadth_first[i]] = i;
  for (uint32_t node : breadth_first) {
    for (uint32_t to : graph[node]) ++incoming[to];
  }
  std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;  // ranks
  ready.push(0);
  std::vector<uint32_t> order;
  while (!ready.empty()) {
    const uint32_t node = breadth_first[ready.top()];
    ready.pop();
    order.push_back(node);
    for (uint32_t to : graph[node]) {
      if (--incoming[to] == 0) ready.push(rank[to]);
    }
  }
  return order;
}

int LongestPath(const Graph& graph, uint32_t start) {
  std::vector<int> length(graph.size(), 0);
  length[start] = 1;
  int longest = 1;
  for (uint32_t node : TopologicalOrder(graph, start)) {
    longest = std::max(longest, length[node]);
    for (uint32_t to : graph[node]) length[to] = std::max(length[to], length[node] + 1);
  }
  return longest;
}

}  // namespace signalbox
