// Serves lists of tasks. fn.yaml has the routes and says who may call them.
import { type Context, type Event, handle } from "@evoke/sdk";

interface Task {
  id: string;
  title: string;
  done: boolean;
  by: string; // the name of the API key that made it
}

/** The state of a list. All tasks are one value, which has at most 256 KiB: the limits below see to it. */
interface Tasks {
  next: number; // the id of the next one
  tasks: Task[];
}

/** The body of a POST or a PATCH. What is not there stays as it is. */
interface Change {
  title?: string;
  done?: boolean;
}

const maxTasks = 300, maxTitle = 100; // characters

/** What is wrong with a request. Anything else that is thrown is our fault: the attempt fails, and nothing of it is kept. */
class Problem extends Error {
  constructor(readonly status: number, text: string) {
    super(text);
  }
}

export default handle(async (event, context) => {
  try {
    return await answer(event, context);
  } catch (error) {
    if (error instanceof Problem) return Response.json({ error: error.message }, { status: error.status });
    throw error;
  }
});

async function answer(event: Event, context: Context): Promise<Response> {
  const request = event.request!;
  const { list, id } = request.params;
  const state = await context.state.get<Tasks>("tasks") ?? { next: 1, tasks: [] };
  const save = () => context.state.set("tasks", state);
  const { pathname, searchParams } = new URL(request.url);
  const find = () => {
    const at = state.tasks.findIndex(task => task.id === id);
    if (at < 0) throw new Problem(404, `list ${list} has no task ${id}`);
    return at;
  };

  switch (`${request.method} ${id === undefined ? "tasks" : "task"}`) {
    case "GET tasks":
      return Response.json({ tasks: select(state.tasks, searchParams.get("done")) });
    case "POST tasks": {
      const { title, done = false } = readChange(event);
      if (title === undefined) throw new Problem(422, "title is missing");
      if (state.tasks.length === maxTasks) throw new Problem(409, `list ${list} is full: it has ${maxTasks} tasks`);
      const made: Task = { id: String(state.next++), title, done, by: String(event.attributes.authid ?? "") };
      state.tasks.push(made);
      await save();
      return Response.json(made, { status: 201, headers: { location: `${pathname}/${made.id}` } });
    }
    case "GET task":
      return Response.json(state.tasks[find()]);
    case "PATCH task": {
      const change = readChange(event);
      const task = Object.assign(state.tasks[find()]!, change);
      await save();
      return Response.json(task);
    }
    case "DELETE task":
      state.tasks.splice(find(), 1);
      await save();
      return new Response(null, { status: 204 });
  }
  throw new Problem(405, `${request.method} is not for ${pathname}`);
}

function select(tasks: Task[], done: string | null): Task[] {
  if (!done) return tasks;
  if (done !== "true" && done !== "false") throw new Problem(400, "done must be true or false");
  return tasks.filter(task => String(task.done) === done);
}

function readChange(event: Event): Change {
  let body: unknown;
  try {
    body = JSON.parse(event.text());
  } catch {
    // as a body of another shape, below
  }
  const { title, done } = (body ?? {}) as Record<string, unknown>;
  const isChange = typeof body === "object" && body !== null && (title === undefined || typeof title === "string") && (done === undefined || typeof done === "boolean");
  if (!isChange) throw new Problem(400, `the body must be JSON like {"title": "buy milk", "done": false}`);
  const change: Change = {};
  if (done !== undefined) change.done = done as boolean;
  if (title !== undefined) {
    change.title = (title as string).trim();
    const characters = [...change.title].length;
    if (characters < 1 || characters > maxTitle) throw new Problem(422, `title has from 1 to ${maxTitle} characters, not ${characters}`);
  }
  return change;
}
