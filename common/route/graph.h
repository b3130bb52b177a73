// Graph algorithms over element indices. Iterative throughout: a hostile graph costs time in proportion to its size and
// no stack. Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

namespace signalbox {

// graph[i]: where element i leads, each index below graph.size().
using Graph = std::vector<std::vector<uint32_t>>;

std::vector<bool> Reachable(const Graph& graph, const std::vector<uint32_t>& from);

// One cycle of each strongly connected component that has one, as the elements passed (the last leads to the first);
// ordered by first element.
std::vector<std::vector<uint32_t>> FindCycles(const Graph& graph);

// Breadth-first order from `start` over what it reaches.
std::vector<uint32_t> BreadthFirst(const Graph& graph, uint32_t start);

// What `start` reaches, every element before those it leads to, otherwise as near to breadth-first as that allows.
// Requires an acyclic graph.
std::vector<uint32_t> TopologicalOrder(const Graph& graph, uint32_t start);

// Elements on the longest path from `start`. Requires an acyclic graph.
int LongestPath(const Graph& graph, uint32_t start);

}  // namespace signalbox
