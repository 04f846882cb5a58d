// What the page was given.

const report = JSON.parse(byId("data").textContent);
const { units, task } = report;
const axes = quantities(task.goals);
