// Tells its parent a growing number every few milliseconds, and answers with what it is told.
let count = 0;
process.on('message', (message) => process.send?.({ echo: message, home: process.env.COUNTER_HOME }));
setInterval(() => process.send?.({ count: count++ }), 5);
console.log('counting', process.argv[2]);
