export default event => console.log("report:", JSON.stringify(event.data));
